#include "admin/admin_server.h"

#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <algorithm>
#include <list>
#include <optional>
#include <utility>

#include "admin/access.h"
#include "admin/admin_api.h"
#include "base/close_gate.h"
#include "base/gate.h"
#include "base/log.h"
#include "config/node_config.h"

namespace hybridserve {

namespace asio = boost::asio;
using asio::ip::tcp;
using LocalProtocol = asio::local::stream_protocol;

namespace {
constexpr auto kUse = asio::as_tuple(asio::use_awaitable);
}  // namespace

struct AdminServer::Impl {
  /// A connection being served.
  struct Session {
    AdminConnection* connection;
    bool over_tcp = false;  ///< It needs TLS and a token.
    bool busy = false;      ///< A request is being answered.
  };

  Impl(asio::any_io_executor executor_in, AdminOptions options_in, AdminParts parts)
      : executor(std::move(executor_in)),
        options(std::move(options_in)),
        api(executor, std::move(parts), options.max_blob_bytes),
        local(executor),
        port(executor) {}

  Result<> ListenLocal();
  Result<> ListenTcp();
  asio::awaitable<void> AcceptLocal();
  asio::awaitable<void> AcceptTcp();
  Result<> CheckToken(const AdminConnection& connection) const;
  asio::awaitable<void> PauseAfterFailedAccept(boost::system::error_code error);
  void Spawn(asio::generic::stream_protocol::socket socket, Result<> allowed, bool over_tcp);
  asio::awaitable<void> Serve(asio::generic::stream_protocol::socket socket, Result<> allowed,
                              bool over_tcp);
  asio::awaitable<void> ServeRequests(AdminConnection& connection, Session& session,
                                      Result<> allowed);

  asio::any_io_executor executor;
  AdminOptions options;
  AdminApi api;
  LocalProtocol::acceptor local;
  tcp::acceptor port;
  std::string tcp_address;
  std::list<Session*> sessions;  // Each on its coroutine's frame.
  Gate gate;                     // Holds sessions and accept loops.
  bool stopping = false;
};

Result<> AdminServer::Impl::ListenLocal() {
  const std::string path = options.socket.string();
  if (path.size() >= sizeof(sockaddr_un::sun_path)) {
    return Fail(Code::kInvalidArgument,
                "the path of the admin socket, " + path + ", has " + std::to_string(path.size()) +
                    " bytes; at most " + std::to_string(sizeof(sockaddr_un::sun_path) - 1) +
                    " are possible: use a state folder with a shorter path");
  }
  ::unlink(path.c_str());
  boost::system::error_code error;
  local.open(LocalProtocol(), error);
  if (!error) local.bind(LocalProtocol::endpoint(path), error);
  if (error) return FailErrno("bind the admin socket " + path, error.value());
  // Who connects is checked as well: the mode only keeps strangers from trying.
  if (::chmod(path.c_str(), 0660) != 0) return FailErrno("chmod " + path);
  local.listen(asio::socket_base::max_listen_connections, error);
  if (error) return FailErrno("listen on " + path, error.value());
  return {};
}

Result<> AdminServer::Impl::ListenTcp() {
  if (!options.tokens || !options.certificate) {
    return Fail(Code::kInvalidArgument,
                "the admin API is only served over TCP with TLS and a token: set "
                "admin.tls_certificate, admin.tls_key and admin.token_file");
  }
  TRY_ASSIGN(const HostPort where, ParseHostPort(options.listen));
  boost::system::error_code error;
  const asio::ip::address address =
      asio::ip::make_address(where.host == "localhost" ? "127.0.0.1" : where.host, error);
  if (error) {
    return Fail(Code::kInvalidArgument, "admin.listen: '" + where.host +
                                            "' is not an IP address; write one, such as "
                                            "127.0.0.1");
  }
  const tcp::endpoint endpoint(address, where.port);
  port.open(endpoint.protocol(), error);
  if (!error) port.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) port.bind(endpoint, error);
  if (!error) port.listen(asio::socket_base::max_listen_connections, error);
  if (error) {
    return Wrap(FailErrno("listen on " + options.listen, error.value()).value(),
                "the admin API (admin.listen)");
  }
  const tcp::endpoint bound = port.local_endpoint(error);
  const std::string host = bound.address().to_string();
  tcp_address =
      (bound.address().is_v6() ? "[" + host + "]" : host) + ":" + std::to_string(bound.port());
  return {};
}

Result<> AdminServer::Impl::CheckToken(const AdminConnection& connection) const {
  const std::shared_ptr<const KeySet> tokens = options.tokens->keys();
  if (tokens->Find(connection.header("Authorization")) != nullptr) return {};
  return Fail(Code::kUnauthorized,
              "the admin API needs one of the node's tokens (admin.token_file): Authorization: "
              "Bearer TOKEN");
}

// One failed accept (out of descriptors) must neither spin nor end the service.
asio::awaitable<void> AdminServer::Impl::PauseAfterFailedAccept(boost::system::error_code error) {
  spdlog::warn("the admin API cannot take a connection: {}", error.message());
  asio::steady_timer pause(executor, std::chrono::milliseconds(100));
  co_await pause.async_wait(kUse);
}

asio::awaitable<void> AdminServer::Impl::AcceptLocal() {
  const Gate::Pass pass = gate.Enter();
  while (!stopping) {
    auto [error, socket] = co_await local.async_accept(kUse);
    if (stopping) break;
    if (error) {
      co_await PauseAfterFailedAccept(error);
      continue;
    }
    Result<> allowed = CheckPeer(socket.native_handle());
    Spawn(std::move(socket), std::move(allowed), false);
  }
}

asio::awaitable<void> AdminServer::Impl::AcceptTcp() {
  const Gate::Pass pass = gate.Enter();
  while (!stopping) {
    auto [error, socket] = co_await port.async_accept(kUse);
    if (stopping) break;
    if (error) {
      co_await PauseAfterFailedAccept(error);
      continue;
    }
    boost::system::error_code ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    Spawn(std::move(socket), Result<>(), true);
  }
}

void AdminServer::Impl::Spawn(asio::generic::stream_protocol::socket socket, Result<> allowed,
                              bool over_tcp) {
  // Who has no token yet cannot keep the node's own admins out.
  const auto came_over_tcp = [](const Session* session) { return session->over_tcp; };
  const bool tcp_is_full =
      over_tcp && static_cast<size_t>(std::ranges::count_if(sessions, came_over_tcp)) >=
                      std::max<size_t>(options.max_connections / 2, 1);
  if (sessions.size() >= options.max_connections || tcp_is_full) {
    spdlog::warn("the admin API turned a connection away: {} are open", sessions.size());
    return;
  }
  asio::co_spawn(executor, Serve(std::move(socket), std::move(allowed), over_tcp), asio::detached);
}

asio::awaitable<void> AdminServer::Impl::Serve(asio::generic::stream_protocol::socket socket,
                                               Result<> allowed, bool over_tcp) {
  const Gate::Pass pass = gate.Enter();
  if (!pass) co_return;
  const TlsContextPtr tls = over_tcp ? options.certificate->context() : nullptr;
  AdminConnection connection(std::move(socket), options.timeouts, tls);
  Session session{&connection, over_tcp};
  const auto place = sessions.insert(sessions.end(), &session);
  Result<> shaken;
  if (over_tcp) shaken = co_await connection.ShakeHands();
  if (shaken) co_await ServeRequests(connection, session, std::move(allowed));
  sessions.erase(place);
}

asio::awaitable<void> AdminServer::Impl::ServeRequests(AdminConnection& connection,
                                                       Session& session, Result<> allowed) {
  while (!stopping) {
    const Result<> head = co_await connection.ReadHead();
    if (!head && head.error().code == Code::kCancelled) co_return;
    session.busy = true;
    Result<> may_go_on = head ? allowed : head;
    if (may_go_on && session.over_tcp) may_go_on = CheckToken(connection);
    if (!may_go_on) {
      const Result<> sent = co_await connection.SendError(may_go_on.error());
      if (sent && head) co_await connection.Drain();
      co_return;
    }
    co_await api.Handle(connection);
    session.busy = false;
    if (!connection.keep_alive()) co_return;
  }
}

AdminServer::AdminServer(asio::any_io_executor executor, AdminOptions options, AdminParts parts)
    : impl_(std::make_unique<Impl>(std::move(executor), std::move(options), std::move(parts))) {}
AdminServer::~AdminServer() = default;

Result<> AdminServer::Listen() {
  TRY(impl_->ListenLocal());
  if (!impl_->options.listen.empty()) {
    TRY(impl_->ListenTcp());
    asio::co_spawn(impl_->executor, impl_->AcceptTcp(), asio::detached);
  }
  asio::co_spawn(impl_->executor, impl_->AcceptLocal(), asio::detached);
  return {};
}

std::string AdminServer::tcp_address() const { return impl_->tcp_address; }

asio::awaitable<bool> AdminServer::Stop(std::chrono::steady_clock::time_point until) {
  Impl& impl = *impl_;
  impl.stopping = true;
  boost::system::error_code ignored;
  impl.local.close(ignored);
  impl.port.close(ignored);
  ::unlink(impl.options.socket.c_str());
  impl.api.EndStreams();
  for (Impl::Session* session : impl.sessions) {
    if (!session->busy) session->connection->Close();
  }
  const bool empty = co_await CloseGate(impl.gate, impl.executor, until);
  co_return empty;
}

}  // namespace hybridserve
