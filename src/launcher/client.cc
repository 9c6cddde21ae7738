#include "launcher/client.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <optional>
#include <unordered_map>
#include <utility>

#include "ipc/seqpacket.h"
#include "ipc/wire.h"
#include "launcher/protocol.h"

namespace hybridserve {

namespace asio = boost::asio;
using launcher::Verb;

namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);

// One answer: its result's bytes and the descriptors that came beside it.
struct Reply {
  Result<> status;
  std::string result;
  std::vector<UniqueFd> fds;
};

// A call that waits. Lives in the coroutine's frame; the table points to it.
struct Waiting {
  explicit Waiting(const asio::any_io_executor& executor)
      : wake(executor, asio::steady_timer::time_point::max()) {}
  asio::steady_timer wake;
  std::optional<Reply> reply;
};

Error Malformed() { return {Code::kCorrupt, "the launcher's answer cannot be read"}; }

// Decodes a successful answer's result.
template <typename T>
Result<T> Decode(Result<Reply> reply) {
  if (!reply) return tl::unexpected(std::move(reply.error()));
  ipc::Reader reader(reply->result);
  T value = launcher::Get<T>(reader);
  if (!reader.Done()) return tl::unexpected(Malformed());
  return value;
}

Result<uint64_t> DecodeId(const std::string& result) {
  ipc::Reader reader(result);
  const auto id = reader.Get<uint64_t>();
  if (!reader.Done()) return tl::unexpected(Malformed());
  return id;
}

Result<> Plain(Result<Reply> reply) {
  if (!reply) return tl::unexpected(std::move(reply.error()));
  return {};
}

}  // namespace

struct LauncherClient::Impl {
  // A verb whose answer is awaited; `waiting` is nullptr once its caller was cancelled.
  struct Call {
    Verb verb;
    Waiting* waiting;
  };

  Impl(asio::any_io_executor the_executor, UniqueFd the_socket, Events the_events)
      : executor(std::move(the_executor)),
        socket(executor, the_socket.Release()),
        events(std::move(the_events)),
        peer(events.peer),
        buffer(ipc::kMaxDatagramBytes, '\0') {}

  asio::any_io_executor executor;
  asio::posix::stream_descriptor socket;
  Events events;
  std::string peer;
  std::string buffer;
  std::unordered_map<uint64_t, Call> calls;
  uint64_t next_id = 1;
  bool gone = false;

  [[nodiscard]] Error HasEnded() const {
    return {Code::kUnavailable, "the " + peer + " has ended"};
  }

  // Answers everything that waits: the other end has closed.
  void Lose() {
    if (gone) return;
    gone = true;
    for (auto& [id, call] : calls) {
      if (call.waiting == nullptr) continue;
      call.waiting->reply = Reply{tl::unexpected(HasEnded()), {}, {}};
      call.waiting->wake.cancel();
    }
    calls.clear();
    if (events.launcher_gone) events.launcher_gone();
  }

  void OnDatagram(std::string_view bytes, std::vector<UniqueFd> fds) {
    ipc::Reader reader(bytes);
    const auto header = launcher::GetHeader(reader);
    if (!header) return;
    switch (header->verb) {
      case Verb::kAnswer:
        OnAnswer(header->id, reader, bytes, std::move(fds));
        break;
      case Verb::kExecutorExited: {
        const ExecutorId id{reader.Get<uint64_t>()};
        const auto status = reader.Get<int32_t>();
        if (reader.Done() && events.executor_exited) events.executor_exited(id, status);
        break;
      }
      case Verb::kSandboxExited: {
        const auto exit = launcher::Get<SandboxExit>(reader);
        if (reader.Done() && events.sandbox_exited) events.sandbox_exited(exit);
        break;
      }
      default:
        break;
    }
  }

  void OnAnswer(uint64_t id, ipc::Reader& reader, std::string_view bytes,
                std::vector<UniqueFd> fds) {
    const auto found = calls.find(id);
    if (found == calls.end()) return;
    const Call call = found->second;
    calls.erase(found);
    Reply reply;
    reply.status = launcher::GetStatus(reader);
    reply.result = std::string(bytes.substr(bytes.size() - reader.rest_bytes()));
    reply.fds = std::move(fds);
    if (call.waiting != nullptr) {
      call.waiting->reply = std::move(reply);
      call.waiting->wake.cancel();
    } else if (reply.status) {
      GiveBack(call.verb, reply.result);
    }
  }

  // What was made for a caller that did not wait for it must not stay.
  void GiveBack(Verb verb, const std::string& result) {
    if (verb == Verb::kCreateSandbox) {
      if (const auto id = DecodeId(result)) Forget(Verb::kDestroySandbox, *id);
    }
    if (verb == Verb::kStartExecutor) {
      ipc::Reader reader(result);
      const auto started = launcher::Get<StartedExecutor>(reader);
      if (reader.Done()) Forget(Verb::kKillExecutor, started.id.value);
    }
  }

  // Sends a request whose answer nobody awaits.
  void Forget(Verb verb, uint64_t argument) {
    ipc::Writer writer;
    launcher::PutHeader(writer, verb, next_id++);
    writer.Put(argument);
    (void)ipc::Send(socket.native_handle(), writer.bytes(), {}, ipc::Wait::kDont);
  }
};

// Reads datagrams until the socket closes, by the launcher or by the client's destructor.
static asio::awaitable<void> ReadLoop(std::shared_ptr<LauncherClient::Impl> impl) {
  while (true) {
    const auto [error] =
        co_await impl->socket.async_wait(asio::posix::stream_descriptor::wait_read, kTuple);
    if (error) co_return;
    while (true) {
      auto received = ipc::Receive(impl->socket.native_handle(), impl->buffer, ipc::Wait::kDont);
      if (!received) {
        if (received.error().code == Code::kUnavailable) break;
        if (received.error().code == Code::kCorrupt) continue;
        impl->Lose();
        co_return;
      }
      if (received->size == 0) {
        impl->Lose();
        co_return;
      }
      impl->OnDatagram(std::string_view(impl->buffer).substr(0, received->size),
                       std::move(received->fds));
    }
  }
}

// One request and its answer. A caller that is cancelled leaves the call behind; what it was to
// get is given back when the answer comes.
static Awaitable<Reply> Ask(std::shared_ptr<LauncherClient::Impl> impl, Verb verb, std::string body,
                            std::vector<int> fds) {
  if (impl->gone) co_return tl::unexpected(impl->HasEnded());
  const uint64_t id = impl->next_id++;
  ipc::Writer header;
  launcher::PutHeader(header, verb, id);
  const std::string bytes = header.Take() + body;
  while (true) {
    auto sent = ipc::Send(impl->socket.native_handle(), bytes, fds, ipc::Wait::kDont);
    if (sent) break;
    if (sent.error().code != Code::kUnavailable) {
      co_return Wrap(std::move(sent.error()), "ask the " + impl->peer);
    }
    const auto [error] =
        co_await impl->socket.async_wait(asio::posix::stream_descriptor::wait_write, kTuple);
    if (error) co_return tl::unexpected(impl->HasEnded());
  }
  Waiting waiting(impl->executor);
  impl->calls.emplace(id, LauncherClient::Impl::Call{verb, &waiting});
  struct Abandon {
    LauncherClient::Impl& impl;
    uint64_t id;
    ~Abandon() {
      const auto found = impl.calls.find(id);
      if (found != impl.calls.end()) found->second.waiting = nullptr;
    }
  } abandon{*impl, id};
  const auto [error] = co_await waiting.wake.async_wait(kTuple);
  (void)error;
  if (!waiting.reply) co_return Fail(Code::kCancelled, "the request was cancelled");
  if (!waiting.reply->status) co_return tl::unexpected(std::move(waiting.reply->status.error()));
  co_return std::move(*waiting.reply);
}

LauncherClient::LauncherClient(asio::any_io_executor executor, UniqueFd socket, Events events)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(socket), std::move(events))) {
  asio::co_spawn(impl_->executor, ReadLoop(impl_), asio::detached);
}

LauncherClient::~LauncherClient() {
  impl_->events = {};
  impl_->Lose();
  boost::system::error_code ignored;
  impl_->socket.close(ignored);
}

Awaitable<LauncherAbilities> LauncherClient::Hello() {
  co_return Decode<LauncherAbilities>(
      co_await Ask(impl_, Verb::kHello, std::string(), std::vector<int>()));
}

Awaitable<> LauncherClient::Ready() {
  co_return Plain(co_await Ask(impl_, Verb::kReady, std::string(), std::vector<int>()));
}

Awaitable<StartedExecutor> LauncherClient::StartExecutor(ExecutorSpec spec) {
  ipc::Writer body;
  launcher::Put(body, spec);
  auto reply = co_await Ask(impl_, Verb::kStartExecutor, body.Take(), std::vector<int>());
  if (!reply) co_return tl::unexpected(std::move(reply.error()));
  ipc::Reader reader(reply->result);
  auto started = launcher::Get<StartedExecutor>(reader);
  if (!reader.Done() || reply->fds.size() != 2) co_return tl::unexpected(Malformed());
  started.data = std::move(reply->fds[0]);
  started.control = std::move(reply->fds[1]);
  co_return started;
}

Awaitable<> LauncherClient::KillExecutor(ExecutorId id) {
  ipc::Writer body;
  body.Put(id.value);
  co_return Plain(co_await Ask(impl_, Verb::kKillExecutor, body.Take(), std::vector<int>()));
}

Awaitable<JobResult> LauncherClient::RunJob(JobSpec spec, std::vector<int> fds) {
  ipc::Writer body;
  launcher::Put(body, spec);
  co_return Decode<JobResult>(co_await Ask(impl_, Verb::kRunJob, body.Take(), std::move(fds)));
}

Awaitable<UnpackedImage> LauncherClient::UnpackImage(int archive, Digest archive_digest) {
  ipc::Writer body;
  body.PutString(archive_digest.value);
  std::vector<int> fds(1, archive);
  co_return Decode<UnpackedImage>(
      co_await Ask(impl_, Verb::kUnpackImage, body.Take(), std::move(fds)));
}

Awaitable<> LauncherClient::RemoveImage(Digest image) {
  ipc::Writer body;
  body.PutString(image.value);
  co_return Plain(co_await Ask(impl_, Verb::kRemoveImage, body.Take(), std::vector<int>()));
}

Awaitable<> LauncherClient::PrepareImage(Digest image) {
  ipc::Writer body;
  body.PutString(image.value);
  co_return Plain(co_await Ask(impl_, Verb::kPrepareImage, body.Take(), std::vector<int>()));
}

Awaitable<UniqueFd> LauncherClient::OpenAgent() {
  auto reply = co_await Ask(impl_, Verb::kOpenAgent, std::string(), std::vector<int>());
  if (!reply) co_return tl::unexpected(std::move(reply.error()));
  if (reply->fds.size() != 1) co_return tl::unexpected(Malformed());
  co_return std::move(reply->fds[0]);
}

Awaitable<ContainerId> LauncherClient::CreateSandbox() {
  auto reply = co_await Ask(impl_, Verb::kCreateSandbox, std::string(), std::vector<int>());
  if (!reply) co_return tl::unexpected(std::move(reply.error()));
  const auto id = DecodeId(reply->result);
  if (!id) co_return tl::unexpected(Malformed());
  co_return ContainerId{*id};
}

Awaitable<UniqueFd> LauncherClient::StartSandbox(ContainerId id, SandboxSpec spec) {
  ipc::Writer body;
  body.Put(id.value);
  launcher::Put(body, spec);
  auto reply = co_await Ask(impl_, Verb::kStartSandbox, body.Take(), std::vector<int>());
  if (!reply) co_return tl::unexpected(std::move(reply.error()));
  if (reply->fds.size() != 1) co_return tl::unexpected(Malformed());
  co_return std::move(reply->fds[0]);
}

Awaitable<std::vector<UniqueFd>> LauncherClient::MakeSockets(ContainerId id, uint32_t count) {
  ipc::Writer body;
  launcher::Put(body, launcher::MakeSocketsRequest{id, count});
  auto reply = co_await Ask(impl_, Verb::kMakeSockets, body.Take(), std::vector<int>());
  if (!reply) co_return tl::unexpected(std::move(reply.error()));
  if (reply->fds.empty()) co_return tl::unexpected(Malformed());
  co_return std::move(reply->fds);
}

Awaitable<UniqueFd> LauncherClient::MakeListener(ContainerId id, uint16_t port) {
  ipc::Writer body;
  launcher::Put(body, launcher::MakeListenerRequest{id, port});
  auto reply = co_await Ask(impl_, Verb::kMakeListener, body.Take(), std::vector<int>());
  if (!reply) co_return tl::unexpected(std::move(reply.error()));
  if (reply->fds.size() != 1) co_return tl::unexpected(Malformed());
  co_return std::move(reply->fds[0]);
}

Awaitable<> LauncherClient::FreezeSandbox(ContainerId id) {
  ipc::Writer body;
  body.Put(id.value);
  co_return Plain(co_await Ask(impl_, Verb::kFreezeSandbox, body.Take(), std::vector<int>()));
}

Awaitable<> LauncherClient::ThawSandbox(ContainerId id) {
  ipc::Writer body;
  body.Put(id.value);
  co_return Plain(co_await Ask(impl_, Verb::kThawSandbox, body.Take(), std::vector<int>()));
}

Awaitable<> LauncherClient::SettleSandbox(ContainerId id) {
  ipc::Writer body;
  body.Put(id.value);
  co_return Plain(co_await Ask(impl_, Verb::kSettleSandbox, body.Take(), std::vector<int>()));
}

Awaitable<SandboxUsage> LauncherClient::Stats(ContainerId id) {
  ipc::Writer body;
  body.Put(id.value);
  co_return Decode<SandboxUsage>(
      co_await Ask(impl_, Verb::kStats, body.Take(), std::vector<int>()));
}

Awaitable<> LauncherClient::DestroySandbox(ContainerId id) {
  ipc::Writer body;
  body.Put(id.value);
  co_return Plain(co_await Ask(impl_, Verb::kDestroySandbox, body.Take(), std::vector<int>()));
}

Awaitable<std::vector<AdoptedSandbox>> LauncherClient::List() {
  std::vector<AdoptedSandbox> all;
  ContainerId after;
  while (true) {
    ipc::Writer body;
    body.Put(after.value);
    auto reply = co_await Ask(impl_, Verb::kList, body.Take(), std::vector<int>());
    if (!reply) co_return tl::unexpected(std::move(reply.error()));
    ipc::Reader reader(reply->result);
    const auto page = launcher::Get<std::vector<launcher::AdoptedEntry>>(reader);
    if (!reader.Done()) co_return tl::unexpected(Malformed());
    size_t next_log = 0;
    for (const launcher::AdoptedEntry& entry : page) {
      AdoptedSandbox sandbox;
      sandbox.id = entry.id;
      sandbox.label = entry.label;
      if (entry.has_log) {
        if (next_log == reply->fds.size()) co_return tl::unexpected(Malformed());
        sandbox.log = std::move(reply->fds[next_log++]);
      }
      if (entry.id.value <= after.value) co_return tl::unexpected(Malformed());
      after = entry.id;
      all.push_back(std::move(sandbox));
    }
    if (page.size() < ipc::kMaxFds) co_return all;
  }
}

Awaitable<UniqueFd> LauncherClient::OpenFolder(ExecutorId executor, std::string path,
                                               bool writable) {
  ipc::Writer body;
  launcher::Put(body, launcher::OpenFolderRequest{executor, std::move(path), writable});
  auto reply = co_await Ask(impl_, Verb::kOpenFolder, body.Take(), std::vector<int>());
  if (!reply) co_return tl::unexpected(std::move(reply.error()));
  if (reply->fds.size() != 1) co_return tl::unexpected(Malformed());
  co_return std::move(reply->fds[0]);
}

}  // namespace hybridserve
