#include "container/agent/agent.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <deque>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "ipc/seqpacket.h"
#include "ipc/wire.h"
#include "launcher/protocol.h"
#include "launcher/requests.h"

namespace hybridserve {

namespace asio = boost::asio;

namespace {

using launcher::Verb;
constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);

// What follows a successful answer's head.
struct Reply {
  std::string bytes;
  std::vector<UniqueFd> fds;
};

template <typename T>
Reply Encoded(const T& value) {
  ipc::Writer out;
  launcher::Put(out, value);
  return {out.Take(), {}};
}

Reply OneFd(UniqueFd fd) {
  Reply reply;
  reply.fds.push_back(std::move(fd));
  return reply;
}

// One page of List, in the order of the ids.
Reply PageAfter(ContainerId after, std::vector<AdoptedSandbox> all) {
  std::erase_if(all, [after](const auto& one) { return one.id.value <= after.value; });
  std::sort(all.begin(), all.end(),
            [](const auto& a, const auto& b) { return a.id.value < b.id.value; });
  if (all.size() > ipc::kMaxFds) all.resize(ipc::kMaxFds);
  Reply page = Encoded(all);
  for (AdoptedSandbox& one : all) {
    if (one.log) page.fds.push_back(std::move(one.log));
  }
  return page;
}

// One overload a verb that an agent has.
struct Doer {
  RuntimeHost& host;

  Awaitable<Reply> operator()(launcher::CreateSandboxRequest) {
    CO_TRY_ASSIGN(const ContainerId id, co_await host.CreateSandbox());
    ipc::Writer out;
    out.Put(id.value);
    co_return Reply{out.Take(), {}};
  }
  Awaitable<Reply> operator()(launcher::StartSandboxRequest request) {
    CO_TRY_ASSIGN(UniqueFd log, co_await host.StartSandbox(request.id, std::move(request.spec)));
    co_return OneFd(std::move(log));
  }
  Awaitable<Reply> operator()(launcher::MakeSocketsRequest request) {
    CO_TRY_ASSIGN(std::vector<UniqueFd> sockets,
                  co_await host.MakeSockets(request.id, request.count));
    co_return Reply{{}, std::move(sockets)};
  }
  Awaitable<Reply> operator()(launcher::MakeListenerRequest request) {
    CO_TRY_ASSIGN(UniqueFd listener, co_await host.MakeListener(request.id, request.port));
    co_return OneFd(std::move(listener));
  }
  Awaitable<Reply> operator()(launcher::FreezeSandboxRequest request) {
    CO_TRY(co_await host.FreezeSandbox(request.id));
    co_return Reply{};
  }
  Awaitable<Reply> operator()(launcher::ThawSandboxRequest request) {
    CO_TRY(co_await host.ThawSandbox(request.id));
    co_return Reply{};
  }
  Awaitable<Reply> operator()(launcher::SettleSandboxRequest request) {
    CO_TRY(co_await host.SettleSandbox(request.id));
    co_return Reply{};
  }
  Awaitable<Reply> operator()(launcher::StatsRequest request) {
    CO_TRY_ASSIGN(const SandboxUsage usage, co_await host.Stats(request.id));
    co_return Encoded(usage);
  }
  Awaitable<Reply> operator()(launcher::DestroySandboxRequest request) {
    CO_TRY(co_await host.DestroySandbox(request.id));
    co_return Reply{};
  }
  Awaitable<Reply> operator()(launcher::ListRequest request) {
    CO_TRY_ASSIGN(std::vector<AdoptedSandbox> all, co_await host.List());
    co_return PageAfter(request.after, std::move(all));
  }
  Awaitable<Reply> operator()(launcher::PrepareImageRequest request) {
    CO_TRY(co_await host.PrepareImage(std::move(request.image)));
    co_return Reply{};
  }
  Awaitable<Reply> operator()(launcher::RemoveImageRequest request) {
    CO_TRY(co_await host.RemoveImage(std::move(request.image)));
    co_return Reply{};
  }
  template <typename Other>
  Awaitable<Reply> operator()(Other) {
    co_return Fail(Code::kUnsupported, "an agent holds containers; ask the launcher for the rest");
  }
};

}  // namespace

struct Agent::Impl : std::enable_shared_from_this<Agent::Impl> {
  struct Outgoing {
    std::string bytes;
    std::vector<UniqueFd> fds;
  };

  Impl(asio::any_io_executor the_executor, UniqueFd the_socket, RuntimeHost& the_host,
       std::function<void()> the_on_gone)
      : executor(std::move(the_executor)),
        socket(executor, the_socket.Release()),
        host(the_host),
        on_gone(std::move(the_on_gone)),
        buffer(ipc::kMaxDatagramBytes, '\0') {}

  asio::any_io_executor executor;
  asio::posix::stream_descriptor socket;
  RuntimeHost& host;
  std::function<void()> on_gone;
  std::string buffer;
  std::deque<Outgoing> queue;  // What the socket could not take yet.
  bool writing = false;

  asio::awaitable<void> Read();
  void OnDatagram(std::string_view bytes, size_t fds);
  asio::awaitable<void> Do(uint64_t id, launcher::RequestBody request);
  void Answer(uint64_t id, Result<Reply> result);
  void Push(Outgoing message);
  bool SendNow(const Outgoing& message);
  asio::awaitable<void> Write();
};

asio::awaitable<void> Agent::Impl::Read() {
  const std::shared_ptr<Impl> self = shared_from_this();
  for (;;) {
    const auto [error] =
        co_await socket.async_wait(asio::posix::stream_descriptor::wait_read, kTuple);
    if (error) co_return;
    for (;;) {
      const auto received = ipc::Receive(socket.native_handle(), buffer, ipc::Wait::kDont);
      if (!received && received.error().code == Code::kUnavailable) break;
      if (!received && received.error().code == Code::kCorrupt) continue;
      if (!received || received->size == 0) {
        if (const auto gone = std::exchange(on_gone, nullptr)) gone();
        co_return;
      }
      OnDatagram(std::string_view(buffer).substr(0, received->size), received->fds.size());
    }
  }
}

void Agent::Impl::OnDatagram(std::string_view bytes, size_t fds) {
  ipc::Reader reader(bytes);
  const auto header = launcher::GetHeader(reader);
  if (!header) {
    spdlog::warn("the server sent {} bytes that are no request", bytes.size());
    return;
  }
  Result<launcher::RequestBody> request = launcher::DecodeRequest(header->verb, reader, fds);
  if (!request) return Answer(header->id, tl::unexpected(std::move(request.error())));
  asio::co_spawn(executor, Do(header->id, std::move(*request)), asio::detached);
}

asio::awaitable<void> Agent::Impl::Do(uint64_t id, launcher::RequestBody request) {
  const std::shared_ptr<Impl> self = shared_from_this();
  Doer doer{host};
  Awaitable<Reply> work = std::visit(
      [&doer](auto& one) -> Awaitable<Reply> { return doer(std::move(one)); }, request);
  Result<Reply> reply = co_await std::move(work);
  Answer(id, std::move(reply));
}

void Agent::Impl::Answer(uint64_t id, Result<Reply> result) {
  ipc::Writer out;
  launcher::PutHeader(out, Verb::kAnswer, id);
  launcher::PutStatus(out, result ? Result<>() : tl::unexpected(result.error()));
  Outgoing message{out.Take(), {}};
  if (result) {
    message.bytes += result->bytes;
    message.fds = std::move(result->fds);
  }
  Push(std::move(message));
}

void Agent::Impl::Push(Outgoing message) {
  if (!socket.is_open()) return;
  if (queue.empty() && SendNow(message)) return;
  queue.push_back(std::move(message));
  if (!std::exchange(writing, true)) asio::co_spawn(executor, Write(), asio::detached);
}

// False: the socket is full.
bool Agent::Impl::SendNow(const Outgoing& message) {
  std::vector<int> fds;
  for (const UniqueFd& fd : message.fds) fds.push_back(fd.get());
  const auto sent = ipc::Send(socket.native_handle(), message.bytes, fds, ipc::Wait::kDont);
  if (!sent && sent.error().code == Code::kUnavailable) return false;
  if (!sent) spdlog::warn("an answer to the server is lost: {}", sent.error().message);
  return true;
}

asio::awaitable<void> Agent::Impl::Write() {
  const std::shared_ptr<Impl> self = shared_from_this();
  while (!queue.empty()) {
    if (SendNow(queue.front())) {
      queue.pop_front();
      continue;
    }
    const auto [error] =
        co_await socket.async_wait(asio::posix::stream_descriptor::wait_write, kTuple);
    if (error) queue.clear();
  }
  writing = false;
}

Agent::Agent(asio::any_io_executor executor, UniqueFd socket, RuntimeHost& host,
             std::function<void()> on_gone)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(socket), host,
                                   std::move(on_gone))) {
  host.OnExit([weak = std::weak_ptr<Impl>(impl_)](const SandboxExit& exit) {
    const std::shared_ptr<Impl> impl = weak.lock();
    if (!impl) return;
    ipc::Writer out;
    launcher::PutHeader(out, Verb::kSandboxExited, 0);
    launcher::Put(out, exit);
    impl->Push({out.Take(), {}});
  });
  asio::co_spawn(impl_->executor, impl_->Read(), asio::detached);
}

Agent::~Agent() {
  impl_->host.OnExit(nullptr);
  impl_->on_gone = nullptr;
  boost::system::error_code ignored;
  impl_->socket.close(ignored);
}

}  // namespace hybridserve
