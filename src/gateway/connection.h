// ClientConnection: one client's TCP connection. Reads request after request, hands each to the
// router as an Exchange and writes the answer.
//
// With a certificate the same bytes go through a TlsStream on the same socket: the connection waits
// for the socket as that says. Without one there is no difference to a build without TLS.
//
// Nothing is buffered but one piece: bodies go up and down as fast as the slower side takes them. A
// small answer is one system call. While a request is with the router the client is watched; when
// it leaves, the request's coroutine is cancelled.
//
// Thread rule: the event loop's thread only. ReadBody may run beside Write or Send, nothing else.
#pragma once

#include <algorithm>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/gate.h"
#include "config/node_config.h"
#include "function/exchange.h"
#include "gateway/connections.h"
#include "gateway/gateway.h"
#include "gateway/read_buffer.h"
#include "gateway/request_parser.h"
#include "gateway/response_head.h"
#include "router/router.h"
#include "telemetry/metrics.h"
#include "tls/certificate.h"
#include "tls/stream.h"

namespace hybridserve {

/// What the connections of a gateway share. Shared by: the gateway and each connection, so that it
/// lasts as long as the last of them.
struct GatewayContext {
  GatewayContext(Gateway::Options options, Router& routes, Metrics& counted,
                 const boost::asio::any_io_executor& executor)
      : config(std::move(options.config)),
        out_of_service(std::move(options.out_of_service)),
        certificate(std::move(options.certificate)),
        router(routes),
        metrics(counted),
        connections(executor, std::move(options.now), options.tick) {}

  NodeConfig config;
  std::function<std::string(const FunctionName&)> out_of_service;
  std::shared_ptr<TlsCertificate> certificate;  // nullptr: without TLS.
  Router& router;
  Metrics& metrics;
  Connections connections;
};

class ClientConnection final : public Exchange, public Watched {
 public:
  ClientConnection(std::shared_ptr<GatewayContext> context, boost::asio::ip::tcp::socket socket);
  ~ClientConnection() override;
  ClientConnection(const ClientConnection&) = delete;
  ClientConnection& operator=(const ClientConnection&) = delete;

  /// Starts to serve; the connection ends itself.
  static void Start(std::unique_ptr<ClientConnection> connection);

  // Exchange.
  [[nodiscard]] const RequestHead& head() const override { return head_; }
  Awaitable<std::string_view> ReadBody() override;
  void LimitBody(uint64_t bytes) override { body_limit_ = bytes; }
  void Annotate(const ServedBy& served_by) override { served_by_ = served_by; }
  Awaitable<> Send(ResponseHead head, std::string_view body) override;
  Awaitable<> Begin(ResponseHead head, std::optional<uint64_t> content_length) override;
  Awaitable<> Write(std::string_view piece) override;
  Awaitable<> End() override;
  [[nodiscard]] bool answered() const override { return answer_ != Answer::kNone; }

  // Watched.
  [[nodiscard]] SteadyTime deadline() const override {
    return std::min(read_deadline_, write_deadline_);
  }
  void OnDeadline(SteadyTime now) override;
  [[nodiscard]] int watched_socket() const override;
  void Abandon() override;
  void CloseIdle() override;
  [[nodiscard]] bool HasUnread() const override;

 private:
  enum class Phase : uint8_t { kIdle, kHead, kRouter, kLinger };
  enum class Answer : uint8_t { kNone, kBegun, kDone };
  // Up to three pieces of memory that go out together.
  struct Pieces;

  // What a read came to.
  struct Received {
    boost::system::error_code error;
    size_t bytes = 0;
  };

  boost::asio::awaitable<void> ServeAll();
  boost::asio::awaitable<bool> ShakeHands();
  boost::asio::awaitable<void> ServeOwnPath();
  boost::asio::awaitable<void> Refuse(RequestError error);
  boost::asio::awaitable<void> Linger();
  void Abort();

  // Reading a request.
  void ResetRequest();
  void SkipEmptyLines();
  void WaitForHead();
  tl::expected<void, RequestError> TakeHead(size_t head_bytes);
  Result<DeployedPtr> FindFunction();
  Awaitable<> Receive(size_t bytes);
  [[nodiscard]] SteadyTime PieceDeadline(uint64_t bytes, SteadyTime::duration waited) const;
  Result<std::string_view> NextBodyPiece();
  void SkipBufferedBody();
  Result<> CheckAccess(const Deployed& function);

  // TLS.
  boost::asio::awaitable<Received> ReadTls(std::span<char> room);
  Result<> WriteTls(Pieces& pieces);

  // Writing its answer.
  Framing StartAnswer(ResponseHead& head, BodyEnd end, uint64_t length);
  Result<> WriteNow(Pieces& pieces);
  Awaitable<> WriteRest(Pieces pieces);

  std::shared_ptr<GatewayContext> context_;
  boost::asio::ip::tcp::socket socket_;
  int fd_;  // The socket's.
  std::unique_ptr<TlsStream> tls_;  // nullptr: without TLS. Ends before the socket does.
  Gate::Pass pass_;
  boost::asio::cancellation_signal cancel_;
  bool remote_is_loopback_ = false;

  // The connection.
  Phase phase_ = Phase::kIdle;
  bool abandoned_ = false;
  SteadyTime read_deadline_ = kNever;
  SteadyTime write_deadline_ = kNever;
  SteadyTime handed_over_;  // When the router got the request, by the coarse clock.
  bool closing_ = false;
  bool read_timed_out_ = false;
  ReadBuffer buffer_;
  std::string out_;

  // The request.
  RequestParser parser_;
  RequestHead head_;
  FunctionName name_;  // Scratch, to look up without a new string.
  std::string host_;   // Scratch.
  uint64_t body_limit_ = UINT64_MAX;
  uint64_t body_read_ = 0;
  SteadyTime::duration body_waited_{};  // For the client to send its body.
  size_t taken_ = 0;     // Bytes of the buffer under the view that ReadBody returned last.
  bool parsed_ = false;  // The head is complete and good.
  bool body_started_ = false;
  bool continue_sent_ = false;

  // The answer.
  Answer answer_ = Answer::kNone;
  std::optional<ServedBy> served_by_;
  BodyEnd body_end_ = BodyEnd::kLength;
  uint64_t answer_left_ = 0;  // Of a body with a length.
  SteadyTime::duration answer_waited_{};  // For the client to take it.
  uint64_t answer_sent_ = 0;              // Bytes since it was first waited for.
  bool sends_body_ = true;    // False for HEAD and for a status without a body.
  bool keep_alive_ = true;
};

}  // namespace hybridserve
