#include "egress/proxy.h"

#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <cstring>

#include "egress/dialer.h"
#include "egress/session.h"

namespace hybridserve {
namespace {

namespace asio = boost::asio;

// After a failed accept: what lacks (descriptors, memory) may be there again.
constexpr std::chrono::milliseconds kAcceptPause{100};

bool IsTransient(int error_number) {
  return error_number == EAGAIN || error_number == EINTR || error_number == ECONNABORTED;
}

// One listener and its connections. Lives as long as its service, or its accept loop.
class Listener : public std::enable_shared_from_this<Listener> {
 public:
  Listener(std::shared_ptr<const EgressParts> parts, UniqueFd socket, DeployedPtr function,
           FunctionCountsPtr counts)
      : parts_(std::move(parts)),
        socket_(parts_->executor, socket.Release()),
        function_(std::move(function)),
        counts_(std::move(counts)),
        pause_(parts_->executor) {}

  asio::awaitable<void> Run() {
    const std::shared_ptr<Listener> self = shared_from_this();
    while (!closed_) {
      const auto [error] = co_await socket_.async_wait(asio::posix::stream_descriptor::wait_read,
                                                       asio::as_tuple(asio::use_awaitable));
      if (error || closed_) break;
      UniqueFd client(::accept4(socket_.native_handle(), nullptr, nullptr,
                                SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (client) {
        Start(std::move(client));
      } else if (!IsTransient(errno)) {
        spdlog::warn("cannot take a connection to the forward proxy: {}", std::strerror(errno));
        const Clock::TimePoint until = parts_->clock.Now() + kAcceptPause;
        co_await pause_.WaitUntil(parts_->clock, until);
      }
    }
  }

  void Close() {
    closed_ = true;
    pause_.Set();
    boost::system::error_code ignored;
    socket_.close(ignored);
    for (const std::weak_ptr<EgressSession>& one : sessions_) {
      if (const auto session = one.lock()) session->Close();
    }
    sessions_.clear();
  }

 private:
  void Start(UniqueFd client) {
    std::erase_if(sessions_, [](const auto& session) { return session.expired(); });
    if (sessions_.size() >= parts_->options.max_connections) return;
    auto session = std::make_shared<EgressSession>(parts_, std::move(client), function_, counts_,
                                                   EgressSession::Idle::kCloses);
    sessions_.push_back(session);
    asio::co_spawn(parts_->executor, session->Run(), [session](std::exception_ptr) {});
  }

  std::shared_ptr<const EgressParts> parts_;
  asio::posix::stream_descriptor socket_;
  const DeployedPtr function_;
  const FunctionCountsPtr counts_;
  std::vector<std::weak_ptr<EgressSession>> sessions_;
  Event pause_;
  bool closed_ = false;
};

class ListenerService : public NetworkService {
 public:
  explicit ListenerService(std::shared_ptr<Listener> listener) : listener_(std::move(listener)) {}
  ~ListenerService() override { listener_->Close(); }
  ListenerService(const ListenerService&) = delete;
  ListenerService& operator=(const ListenerService&) = delete;

 private:
  std::shared_ptr<Listener> listener_;  // Shared with its accept loop.
};

}  // namespace

struct Proxy::Impl {
  Impl(asio::any_io_executor loop, EgressOptions with, Metrics& counted)
      : executor(std::move(loop)),
        metrics(counted),
        own_clock(with.clock == nullptr ? std::make_unique<SystemClock>(executor) : nullptr),
        clock(with.clock == nullptr ? *own_clock : *with.clock),
        resolver(executor, clock, with.lookup),
        dialer(executor, clock, resolver),
        options(std::move(with)) {}

  asio::any_io_executor executor;
  Metrics& metrics;
  std::unique_ptr<SystemClock> own_clock;
  Clock& clock;
  Resolver resolver;
  Dialer dialer;
  EgressOptions options;
};

// The parts of a proxy, which they keep alive.
static std::shared_ptr<const EgressParts> PartsOf(const std::shared_ptr<Proxy::Impl>& impl) {
  struct Kept {
    std::shared_ptr<Proxy::Impl> impl;
    EgressParts parts;
  };
  const auto kept = std::make_shared<Kept>(
      Kept{impl, EgressParts{impl->executor, impl->options, impl->clock, impl->dialer}});
  return {kept, &kept->parts};
}

Proxy::Proxy(asio::any_io_executor executor, EgressOptions options, Metrics& metrics)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(options), metrics)) {}

Proxy::~Proxy() = default;

Result<UniqueFd> Proxy::Connect(const DeployedPtr& function) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) {
    return FailErrno("make a guest's connection to the forward proxy");
  }
  UniqueFd guest(ends[0]);
  auto session = std::make_shared<EgressSession>(PartsOf(impl_), UniqueFd(ends[1]), function,
                                                 impl_->metrics.Of(function->manifest.name),
                                                 EgressSession::Idle::kStays);
  asio::co_spawn(impl_->executor, session->Run(), [session](std::exception_ptr) {});
  return guest;
}

std::unique_ptr<NetworkService> Proxy::Serve(UniqueFd listener, const DeployedPtr& function) {
  auto made = std::make_shared<Listener>(PartsOf(impl_), std::move(listener), function,
                                         impl_->metrics.Of(function->manifest.name));
  asio::co_spawn(impl_->executor, made->Run(), asio::detached);
  return std::make_unique<ListenerService>(std::move(made));
}

}  // namespace hybridserve
