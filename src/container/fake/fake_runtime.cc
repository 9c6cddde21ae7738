#include "container/fake/fake_runtime.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <cstdlib>
#include <utility>

#include "container/event.h"

namespace hybridserve {
namespace {

namespace asio = boost::asio;
constexpr auto kNoThrow = asio::as_tuple(asio::use_awaitable);

// False at the end of the stream.
asio::awaitable<bool> ReadMore(FakeSocket& socket, std::string& buffer) {
  char bytes[16 * 1024];
  const auto [error, size] = co_await socket.async_read_some(asio::buffer(bytes), kNoThrow);
  if (error) co_return false;
  buffer.append(bytes, size);
  co_return true;
}

asio::awaitable<bool> ReadChunks(FakeSocket& socket, std::string& buffer, std::string& body) {
  for (;;) {
    size_t end = 0;
    while ((end = buffer.find("\r\n")) == std::string::npos) {
      const bool more = co_await ReadMore(socket, buffer);
      if (!more) co_return false;
    }
    const size_t size = std::strtoull(buffer.c_str(), nullptr, 16);
    buffer.erase(0, end + 2);
    while (buffer.size() < size + 2) {
      const bool more = co_await ReadMore(socket, buffer);
      if (!more) co_return false;
    }
    body.append(buffer, 0, size);
    buffer.erase(0, size + 2);
    if (size == 0) co_return true;
  }
}

// What a container and the coroutines of its connections share.
struct Freezer {
  explicit Freezer(const asio::any_io_executor& executor) : thawed(executor) {}
  bool frozen = false;
  Event thawed;
};

}  // namespace

struct FakeRuntime::Container {
  std::map<uint16_t, UniqueFd> listeners;  // Of Listen; copies of what the caller got.
  ContainerId id;
  ContainerSpec spec;
  FakeProgram program;
  bool running = false;
  bool listening = false;
  std::shared_ptr<Freezer> freezer;  // shared with the coroutines that serve its connections
  UniqueFd log;                                      // the program's end
  std::vector<std::shared_ptr<FakeSocket>> sockets;  // shared with the coroutines that serve them
  Clock::Ticket listen_later;
  Clock::Ticket exit_later;

  void CloseSockets() {
    for (const auto& socket : sockets) {
      boost::system::error_code ignored;
      socket->close(ignored);
    }
    sockets.clear();
  }
};

std::string FakeRequest::Field(std::string_view name) const {
  const std::string wanted = "\r\n" + std::string(name) + ": ";
  const size_t at = head.find(wanted);
  if (at == std::string::npos) return "";
  const size_t begin = at + wanted.size();
  return head.substr(begin, head.find("\r\n", begin) - begin);
}

std::string FakeAnswer(std::string_view body, int status) {
  return "HTTP/1.1 " + std::to_string(status) +
         " Said\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

asio::awaitable<std::optional<FakeRequest>> ReadFakeRequest(FakeSocket& socket,
                                                            std::string& buffer) {
  size_t end = 0;
  while ((end = buffer.find("\r\n\r\n")) == std::string::npos) {
    const bool more = co_await ReadMore(socket, buffer);
    if (!more) co_return std::nullopt;
  }
  FakeRequest request;
  request.head = buffer.substr(0, end + 4);
  buffer.erase(0, end + 4);
  if (request.Field("Transfer-Encoding") == "chunked") {
    const bool whole = co_await ReadChunks(socket, buffer, request.body);
    if (!whole) co_return std::nullopt;
    co_return request;
  }
  const size_t length = std::strtoull(request.Field("Content-Length").c_str(), nullptr, 10);
  while (buffer.size() < length) {
    const bool more = co_await ReadMore(socket, buffer);
    if (!more) co_return std::nullopt;
  }
  request.body = buffer.substr(0, length);
  buffer.erase(0, length);
  co_return request;
}

namespace {

asio::awaitable<void> ServeConnection(std::shared_ptr<FakeSocket> socket, FakeProgram program,
                                      std::shared_ptr<Freezer> freezer) {
  if (program.serve) {
    co_await program.serve(*socket);
  } else {
    std::string buffer;
    for (;;) {
      const std::optional<FakeRequest> request = co_await ReadFakeRequest(*socket, buffer);
      while (freezer->frozen) co_await freezer->thawed.Wait();
      if (!request) break;
      const std::string answer = program.answer ? program.answer(*request) : FakeAnswer("hello");
      const auto [error, size] =
          co_await asio::async_write(*socket, asio::buffer(answer), kNoThrow);
      if (error || answer.find("\r\nConnection: close\r\n") != std::string::npos) break;
    }
  }
  boost::system::error_code ignored;
  socket->close(ignored);
}

}  // namespace

FakeRuntime::FakeRuntime(asio::any_io_executor executor, Clock& clock)
    : executor_(std::move(executor)), clock_(clock) {}

FakeRuntime::~FakeRuntime() {
  for (auto& [id, container] : containers_) container->CloseSockets();
}

asio::awaitable<void> FakeRuntime::Pause(std::chrono::microseconds time) {
  // Nothing is done at once: callers must not count on it.
  co_await asio::post(executor_, asio::use_awaitable);
  const Clock::TimePoint until = clock_.Now() + time;
  Event elapsed(executor_);
  while (clock_.Now() < until) co_await elapsed.WaitUntil(clock_, until);
}

FakeRuntime::Container* FakeRuntime::Find(ContainerId id) const {
  const auto found = containers_.find(id);
  return found == containers_.end() ? nullptr : found->second.get();
}

Awaitable<ContainerId> FakeRuntime::Create() {
  co_await Pause(create_time);
  if (create_error) co_return tl::unexpected(*create_error);
  auto container = std::make_shared<Container>();
  container->id = ContainerId{next_id_++};
  container->freezer = std::make_shared<Freezer>(executor_);
  const ContainerId id = container->id;
  containers_.emplace(id, std::move(container));
  ++created_;
  most_alive_ = std::max(most_alive_, containers_.size());
  co_return id;
}

Awaitable<UniqueFd> FakeRuntime::Start(ContainerId id, ContainerSpec spec) {
  co_await Pause(std::chrono::microseconds(0));
  if (start_error) co_return tl::unexpected(*start_error);
  Container* container = Find(id);
  if (container == nullptr) {
    co_return Fail(Code::kNotFound, "no container " + std::to_string(id.value));
  }
  if (container->log) {
    co_return Fail(Code::kConflict,
                   "container " + std::to_string(id.value) + " was started before");
  }
  Result<UniqueFd> log = Run(*container, std::move(spec));
  co_return log;
}

Result<UniqueFd> FakeRuntime::Run(Container& container, ContainerSpec spec) {
  container.spec = std::move(spec);
  container.program = program ? program(container.spec) : FakeProgram{};
  if (container.program.start_error) return tl::unexpected(*container.program.start_error);
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return FailErrno("pipe");
  UniqueFd ours(ends[0]);
  container.log = UniqueFd(ends[1]);
  container.running = true;
  WriteLog(container.id, container.program.output);

  const ContainerId id = container.id;
  if (const auto after = container.program.listens_after) {
    container.listening = after->count() == 0;
    container.listen_later = clock_.At(clock_.Now() + *after, [this, id] {
      if (Container* found = Find(id); found != nullptr && found->running) found->listening = true;
    });
  }
  if (const auto after = container.program.exits_after) {
    container.exit_later = clock_.At(clock_.Now() + *after, [this, id] {
      if (Container* found = Find(id))
        Exit(id, found->program.exit_status, found->program.out_of_memory);
    });
  }
  return ours;
}

Awaitable<UniqueFd> FakeRuntime::Connect(ContainerId id) {
  co_await Pause(std::chrono::microseconds(0));
  Container* container = Find(id);
  if (container == nullptr || !container->running) {
    co_return Fail(Code::kNotFound, "no running container " + std::to_string(id.value));
  }
  if (!container->listening) {
    co_return Fail(Code::kUnavailable,
                   "container " + std::to_string(id.value) + " does not listen");
  }
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) {
    co_return FailErrno("socketpair");
  }
  UniqueFd theirs(ends[1]);
  auto socket = std::make_shared<FakeSocket>(executor_, asio::local::stream_protocol(), ends[0]);
  container->sockets.push_back(socket);
  ++connects_;
  asio::co_spawn(executor_,
                 ServeConnection(std::move(socket), container->program, container->freezer),
                 asio::detached);
  co_return theirs;
}

Awaitable<UniqueFd> FakeRuntime::Listen(ContainerId id, uint16_t port) {
  co_await Pause(std::chrono::microseconds(0));
  Container* container = Find(id);
  if (container == nullptr) {
    co_return Fail(Code::kNotFound, "no container " + std::to_string(id.value));
  }
  if (container->listeners.contains(port)) {
    co_return Fail(Code::kConflict, "port " + std::to_string(port) + " is taken");
  }
  UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const sockaddr_un unnamed{.sun_family = AF_UNIX, .sun_path = {}};  // The kernel finds a name.
  if (::bind(listener.get(), reinterpret_cast<const sockaddr*>(&unnamed), sizeof(sa_family_t)) != 0 ||
      ::listen(listener.get(), 8) != 0) {
    co_return FailErrno("listen");
  }
  container->listeners[port] = UniqueFd(::fcntl(listener.get(), F_DUPFD_CLOEXEC, 3));
  co_return listener;
}

UniqueFd FakeRuntime::Dial(ContainerId id, uint16_t port) const {
  const Container* container = Find(id);
  if (container == nullptr || !container->listeners.contains(port)) return {};
  sockaddr_un address{};
  socklen_t size = sizeof address;
  ::getsockname(container->listeners.at(port).get(), reinterpret_cast<sockaddr*>(&address), &size);
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0) return {};
  return socket;
}

Awaitable<> FakeRuntime::Freeze(ContainerId id) {
  co_await Pause(freeze_time);
  Container* container = Find(id);
  if (container == nullptr || !container->running) {
    co_return Fail(Code::kNotFound, "no running container " + std::to_string(id.value));
  }
  if (freeze_error) co_return tl::unexpected(*freeze_error);
  container->freezer->frozen = true;
  co_return Result<>{};
}

Awaitable<> FakeRuntime::Thaw(ContainerId id) {
  co_await Pause(thaw_time);
  Container* container = Find(id);
  if (container == nullptr || !container->running) {
    co_return Fail(Code::kNotFound, "no running container " + std::to_string(id.value));
  }
  if (thaw_error) co_return tl::unexpected(*thaw_error);
  container->freezer->frozen = false;
  container->freezer->thawed.Set();
  co_return Result<>{};
}

bool FakeRuntime::frozen(ContainerId id) const {
  const Container* container = Find(id);
  return container != nullptr && container->freezer->frozen;
}

Awaitable<SandboxUsage> FakeRuntime::Stats(ContainerId id) {
  co_await Pause(std::chrono::microseconds(0));
  Container* container = Find(id);
  if (container == nullptr) {
    co_return Fail(Code::kNotFound, "no container " + std::to_string(id.value));
  }
  SandboxUsage usage;
  usage.memory_bytes = container->running ? container->program.memory_bytes : 0;
  usage.peak_memory_bytes = usage.memory_bytes;
  usage.processes = container->running ? 1 : 0;
  co_return usage;
}

Awaitable<> FakeRuntime::Destroy(ContainerId id) {
  co_await Pause(destroy_time);
  if (Container* container = Find(id)) {
    EndProcess(*container);
    containers_.erase(id);
  }
  if (destroy_error) co_return tl::unexpected(*destroy_error);
  co_return Result<>{};
}

Awaitable<std::vector<AdoptedContainer>> FakeRuntime::List() {
  co_await Pause(std::chrono::microseconds(0));
  std::vector<AdoptedContainer> adopted;
  for (auto& [id, container] : containers_) {
    if (!container->running) continue;
    // A pipe of its own: the one before went down with the server that read it.
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) co_return FailErrno("pipe");
    container->log = UniqueFd(ends[1]);
    adopted.push_back({id, container->spec.sandbox.label, UniqueFd(ends[0])});
  }
  co_return adopted;
}

void FakeRuntime::OnExit(std::function<void(const SandboxExit&)> handler) {
  on_exit_ = std::move(handler);
}

void FakeRuntime::EndProcess(Container& container) {
  container.running = container.listening = false;
  container.freezer->frozen = false;
  container.freezer->thawed.Set();
  container.listen_later.Cancel();
  container.exit_later.Cancel();
  container.CloseSockets();
  container.listeners.clear();
  container.log.Reset();
}

void FakeRuntime::Exit(ContainerId id, int status, bool out_of_memory) {
  Container* container = Find(id);
  if (container == nullptr || !container->running) return;
  EndProcess(*container);
  asio::post(executor_, [this, exit = SandboxExit{id, status, out_of_memory}] {
    if (on_exit_ && Find(exit.id) != nullptr) on_exit_(exit);
  });
}

void FakeRuntime::StopListening(ContainerId id) {
  if (Container* container = Find(id)) {
    container->listening = false;
    container->CloseSockets();
  }
}

void FakeRuntime::CloseConnections(ContainerId id) {
  if (Container* container = Find(id)) container->CloseSockets();
}

void FakeRuntime::WriteLog(ContainerId id, std::string_view text) {
  Container* container = Find(id);
  if (container == nullptr || !container->log) return;
  // A full pipe loses the rest, which no test writes.
  [[maybe_unused]] const ssize_t written = ::write(container->log.get(), text.data(), text.size());
}

ContainerId FakeRuntime::AddSurvivor(ContainerSpec spec) {
  auto container = std::make_shared<Container>();
  container->id = ContainerId{next_id_++};
  container->freezer = std::make_shared<Freezer>(executor_);
  const ContainerId id = container->id;
  Container& added = *containers_.emplace(id, std::move(container)).first->second;
  (void)Run(added, std::move(spec));
  return id;
}

size_t FakeRuntime::alive() const { return containers_.size(); }

size_t FakeRuntime::open_connections(ContainerId id) const {
  const Container* container = Find(id);
  if (container == nullptr) return 0;
  return static_cast<size_t>(std::count_if(container->sockets.begin(), container->sockets.end(),
                                           [](const auto& socket) { return socket->is_open(); }));
}

std::vector<ContainerId> FakeRuntime::ids() const {
  std::vector<ContainerId> ids;
  for (const auto& [id, container] : containers_) ids.push_back(id);
  return ids;
}

const ContainerSpec* FakeRuntime::Spec(ContainerId id) const {
  const Container* container = Find(id);
  return container == nullptr ? nullptr : &container->spec;
}

}  // namespace hybridserve
