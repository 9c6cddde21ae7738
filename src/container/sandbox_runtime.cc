#include "container/sandbox_runtime.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

namespace hybridserve {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

constexpr uint32_t kSocketsAtOnce = 4;
// A full listen queue drops the attempt, and the kernel tries again after a second.
constexpr auto kConnectTimeout = 1500ms;

Error NoSuch(ContainerId id) {
  return {Code::kNotFound, "there is no running container " + std::to_string(id.value)};
}

enum class Attempt : uint8_t { kConnected, kRefused, kPending, kFailed };

// One step of a non-blocking connect. On loopback the first call already decides, and the second
// one tells; a refused socket is as good as new. kFailed leaves errno.
Attempt TryConnect(int socket, uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  for (int i = 0; i < 2; ++i) {
    if (::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ||
        errno == EISCONN) {
      return Attempt::kConnected;
    }
    if (errno == ECONNREFUSED) return Attempt::kRefused;
    if (errno != EINPROGRESS && errno != EALREADY && errno != EINTR) return Attempt::kFailed;
  }
  return Attempt::kPending;
}

// Waits until a pending connect is decided, or for kConnectTimeout.
asio::awaitable<void> WaitForConnect(asio::any_io_executor executor, int socket) {
  asio::posix::stream_descriptor stream(executor, socket);
  asio::steady_timer timer(executor, kConnectTimeout);
  timer.async_wait([&stream](const boost::system::error_code& error) {
    if (!error) stream.cancel();
  });
  co_await stream.async_wait(asio::posix::stream_descriptor::wait_write,
                             asio::as_tuple(asio::use_awaitable));
  stream.release();
}

}  // namespace

std::string RuntimeLabel(uint16_t port, std::string_view label) {
  return std::to_string(port) + "/" + std::string(label);
}

std::optional<ParsedRuntimeLabel> ParseRuntimeLabel(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  ParsedRuntimeLabel parsed;
  const char* const end = text.data() + slash;
  const auto [stop, error] = std::from_chars(text.data(), end, parsed.port);
  if (error != std::errc() || stop != end || parsed.port == 0) return std::nullopt;
  parsed.label = text.substr(slash + 1);
  return parsed;
}

SandboxRuntime::SandboxRuntime(asio::any_io_executor executor, SandboxHost& host, std::string name)
    : executor_(std::move(executor)), host_(host), name_(std::move(name)) {}

void SandboxRuntime::OnExit(std::function<void(const SandboxExit&)> handler) {
  on_exit_ = std::move(handler);
}

void SandboxRuntime::OnSandboxExit(const SandboxExit& exit) {
  if (running_.erase(exit.id) > 0 && on_exit_) on_exit_(exit);
}

Awaitable<ContainerId> SandboxRuntime::Create() {
  Result<ContainerId> id = co_await host_.CreateSandbox();
  co_return id;
}

Awaitable<UniqueFd> SandboxRuntime::Start(ContainerId id, ContainerSpec spec) {
  if (running_.contains(id)) {
    co_return Fail(Code::kConflict,
                   "container " + std::to_string(id.value) + " was started before");
  }
  spec.sandbox.environment["PORT"] = std::to_string(spec.port);
  spec.sandbox.label = RuntimeLabel(spec.port, spec.sandbox.label);
  // Before the host is asked: the program's end may be heard of before its start is.
  running_[id].port = spec.port;
  Result<UniqueFd> log = co_await host_.StartSandbox(id, std::move(spec.sandbox));
  if (!log) running_.erase(id);
  co_return log;
}

Awaitable<UniqueFd> SandboxRuntime::TakeSocket(ContainerId id) {
  auto found = running_.find(id);
  if (found == running_.end()) co_return tl::unexpected(NoSuch(id));
  if (found->second.sockets.empty()) {
    CO_TRY_ASSIGN(std::vector<UniqueFd> sockets,
                  co_await host_.MakeSockets(id, kSocketsAtOnce));
    found = running_.find(id);
    if (found == running_.end()) co_return tl::unexpected(NoSuch(id));
    for (UniqueFd& socket : sockets) found->second.sockets.push_back(std::move(socket));
  }
  UniqueFd socket = std::move(found->second.sockets.back());
  found->second.sockets.pop_back();
  co_return socket;
}

Awaitable<UniqueFd> SandboxRuntime::Connect(ContainerId id) {
  CO_TRY_ASSIGN(UniqueFd socket, co_await TakeSocket(id));
  uint16_t port = 0;
  if (const auto found = running_.find(id); found != running_.end()) port = found->second.port;
  Attempt attempt = TryConnect(socket.get(), port);
  if (attempt == Attempt::kPending) {
    co_await WaitForConnect(executor_, socket.get());
    attempt = TryConnect(socket.get(), port);
  }
  const std::string where =
      "port " + std::to_string(port) + " of container " + std::to_string(id.value);
  switch (attempt) {
    case Attempt::kConnected: {
      // A request is one write; what follows a first part must not wait for its acknowledgement.
      const int on = 1;
      ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      Settle(id);
      co_return socket;
    }
    case Attempt::kRefused:
      if (const auto found = running_.find(id); found != running_.end()) {
        found->second.sockets.push_back(std::move(socket));
      }
      co_return Fail(Code::kUnavailable, "nothing listens on " + where);
    case Attempt::kPending:
      co_return Fail(Code::kUnavailable, where + " takes no connection");
    case Attempt::kFailed:
      break;
  }
  co_return FailErrno("connect to " + where);
}

// The first connection that it takes is the end of its start.
void SandboxRuntime::Settle(ContainerId id) {
  const auto found = running_.find(id);
  if (found == running_.end() || std::exchange(found->second.settled, true)) return;
  // It may have ended: then there is nothing to settle.
  const auto settle = [](SandboxHost& host, ContainerId settled) -> asio::awaitable<void> {
    (void)co_await host.SettleSandbox(settled);
  };
  asio::co_spawn(executor_, settle(host_, id), asio::detached);
}

Awaitable<UniqueFd> SandboxRuntime::Listen(ContainerId id, uint16_t port) {
  Result<UniqueFd> listener = co_await host_.MakeListener(id, port);
  co_return listener;
}

Awaitable<> SandboxRuntime::Freeze(ContainerId id) {
  Result<> frozen = co_await host_.FreezeSandbox(id);
  co_return frozen;
}

Awaitable<> SandboxRuntime::Thaw(ContainerId id) {
  Result<> thawed = co_await host_.ThawSandbox(id);
  co_return thawed;
}

Awaitable<SandboxUsage> SandboxRuntime::Stats(ContainerId id) {
  Result<SandboxUsage> usage = co_await host_.Stats(id);
  co_return usage;
}

Awaitable<> SandboxRuntime::Destroy(ContainerId id) {
  // Its sockets, too, would keep its network namespace.
  running_.erase(id);
  Result<> destroyed = co_await host_.DestroySandbox(id);
  co_return destroyed;
}

Awaitable<std::vector<AdoptedContainer>> SandboxRuntime::List() {
  CO_TRY_ASSIGN(std::vector<AdoptedSandbox> sandboxes, co_await host_.List());
  std::vector<AdoptedContainer> adopted;
  for (AdoptedSandbox& sandbox : sandboxes) {
    AdoptedContainer container;
    container.id = sandbox.id;
    container.log = std::move(sandbox.log);
    // One that was created and not started has no label: nobody will know it.
    if (std::optional<ParsedRuntimeLabel> parsed = ParseRuntimeLabel(sandbox.label)) {
      container.label = std::move(parsed->label);
      running_[sandbox.id].port = parsed->port;
    }
    adopted.push_back(std::move(container));
  }
  co_return adopted;
}

}  // namespace hybridserve
