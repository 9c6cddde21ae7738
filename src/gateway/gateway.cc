#include "gateway/gateway.h"

#include <spdlog/spdlog.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "container/event.h"
#include "gateway/connection.h"

namespace hybridserve {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
// After an accept that failed for want of descriptors or memory: some may be free again by then.
constexpr std::chrono::milliseconds kAcceptPause{100};
// For a request whose client has just connected, or had its last answer a moment ago.
constexpr std::chrono::milliseconds kArrivalTime{10};
// For a connection that was closed to make room: its coroutine ends first.
constexpr std::chrono::milliseconds kRoomPause{1};
// For cancelled requests to let go of what they hold.
constexpr std::chrono::seconds kAbandonTime{5};

constexpr std::string_view kTooMany =
    "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Type: application/json\r\n"
    "Content-Length: 97\r\nConnection: close\r\n\r\n"
    "{\"error\":{\"code\":\"unavailable\",\"message\":\"this node has too many connections; try "
    "again later\"}}\n";

}  // namespace

struct Gateway::Impl {
  Impl(const asio::any_io_executor& on, Options options, Router& router, Metrics& metrics)
      : executor(on),
        acceptor(on),
        pause(on),
        accept_ended(on),
        drained(on),
        context(std::make_shared<GatewayContext>(std::move(options), router, metrics, on)) {}

  Result<> Listen(const HostPort& address);
  void Take(tcp::socket socket);
  void TakeWaiting();
  static asio::awaitable<void> Accept(std::shared_ptr<Impl> self);
  static Awaitable<> Drain(std::shared_ptr<Impl> self);

  asio::any_io_executor executor;
  tcp::acceptor acceptor;
  asio::steady_timer pause;  // After a failed accept, and for what is on its way in a drain.
  bool accepting = false;    // Accept is under way.
  Event accept_ended;
  asio::steady_timer drained;
  std::shared_ptr<GatewayContext> context;
};

Result<> Gateway::Impl::Listen(const HostPort& address) {
  boost::system::error_code error;
  const auto ip = asio::ip::make_address(address.host, error);
  if (error) {
    return Fail(Code::kInvalidArgument, "gateway.listen: '" + address.host +
                                            "' is no IP address; use one, such as 127.0.0.1");
  }
  const tcp::endpoint endpoint(ip, address.port);
  const std::string doing = "listen on " + address.host + ":" + std::to_string(address.port);
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(tcp::acceptor::max_listen_connections, error);
  if (!error) return {};
  boost::system::error_code ignored;
  acceptor.close(ignored);
  return FailErrno(doing + " (stop what uses it, or choose another with --listen)", error.value());
}

asio::awaitable<void> Gateway::Impl::Accept(std::shared_ptr<Impl> self) {
  while (self->acceptor.is_open()) {
    auto [error, socket] = co_await self->acceptor.async_accept(kAwait);
    if (!error) {
      self->Take(std::move(socket));
      continue;
    }
    if (!self->acceptor.is_open()) break;
    if (error == asio::error::connection_aborted || error == asio::error::interrupted) continue;
    // Out of descriptors: an idle connection makes room, one at a time.
    const bool makes_room =
        error == asio::error::no_descriptors && self->context->connections.CloseLongestIdle();
    if (!makes_room) spdlog::warn("accept: {}", error.message());
    self->pause.expires_after(makes_room ? kRoomPause : kAcceptPause);
    co_await self->pause.async_wait(kAwait);
  }
  self->accepting = false;
  self->accept_ended.Set();
}

// Who has connected is a client, accepted or not: a closed queue would reset those in it.
void Gateway::Impl::TakeWaiting() {
  boost::system::error_code error;
  acceptor.non_blocking(true, error);
  while (!error) {
    tcp::socket socket(executor);
    acceptor.accept(socket, error);
    if (!error) Take(std::move(socket));
  }
}

void Gateway::Impl::Take(tcp::socket socket) {
  Connections& connections = context->connections;
  if (connections.count() >= context->config.max_connections && !connections.CloseLongestIdle()) {
    context->metrics.CountRefused(503);
    if (context->certificate) return;  // Nobody would understand the answer.
    boost::system::error_code ignored;
    socket.non_blocking(true, ignored);
    socket.send(asio::buffer(kTooMany), 0, ignored);
    return;
  }
  ClientConnection::Start(std::make_unique<ClientConnection>(context, std::move(socket)));
}

Awaitable<> Gateway::Impl::Drain(std::shared_ptr<Impl> self) {
  boost::system::error_code ignored;
  Connections& connections = self->context->connections;
  connections.AnnounceDrain();
  self->TakeWaiting();
  self->acceptor.close(ignored);
  self->pause.cancel();
  // Its last client may be on its way here.
  while (self->accepting) co_await self->accept_ended.Wait();
  if (connections.count() > 0) {
    self->pause.expires_after(kArrivalTime);
    co_await self->pause.async_wait(kAwait);
  }
  self->drained.expires_after(self->context->config.drain_timeout);
  connections.Drain([weak = std::weak_ptr(self)] {
    if (const auto impl = weak.lock()) impl->drained.cancel();
  });
  if (connections.count() > 0) co_await self->drained.async_wait(kAwait);
  if (connections.count() == 0) co_return Result<>();

  const size_t left = connections.count();
  connections.AbandonAll();
  self->drained.expires_after(kAbandonTime);
  co_await self->drained.async_wait(kAwait);
  co_return Fail(Code::kTimeout, "drain timeout: " + std::to_string(left) +
                                     " requests did not end within " +
                                     std::to_string(self->context->config.drain_timeout.count()) +
                                     " ms and were ended (gateway.drain_timeout)");
}

Gateway::Gateway(asio::any_io_executor executor, Options options, Router& router, Metrics& metrics)
    : impl_(std::make_shared<Impl>(executor, std::move(options), router, metrics)) {
  metrics.OnCollect([weak = std::weak_ptr(impl_->context)](Gauges& gauges) {
    if (const auto context = weak.lock()) gauges.connections += context->connections.count();
  });
}

Gateway::~Gateway() {
  boost::system::error_code ignored;
  impl_->acceptor.close(ignored);
}

Result<> Gateway::Listen(const HostPort& address) {
  TRY(impl_->Listen(address));
  impl_->accepting = true;
  asio::co_spawn(impl_->executor, Impl::Accept(impl_), asio::detached);
  return {};
}

uint16_t Gateway::port() const {
  boost::system::error_code error;
  const auto endpoint = impl_->acceptor.local_endpoint(error);
  return error ? 0 : endpoint.port();
}

Awaitable<> Gateway::Drain() { return Impl::Drain(impl_); }

}  // namespace hybridserve
