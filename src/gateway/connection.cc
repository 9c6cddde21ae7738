#include "gateway/connection.h"

#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <exception>
#include <utility>

#include "gateway/target.h"

namespace hybridserve {

namespace asio = boost::asio;

namespace {

constexpr size_t kHeadReadBytes = 2048;
constexpr size_t kBodyReadBytes = 64 * 1024;
// What is read and thrown away so that a client gets to see a refusal while it still sends.
constexpr uint64_t kLingerBytes = 32u << 20;
constexpr std::chrono::seconds kLingerTime{2};

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

void LogException(std::exception_ptr error) {
  try {
    std::rethrow_exception(std::move(error));
  } catch (const std::exception& caught) {
    spdlog::error("a connection ended by an exception: {}", caught.what());
  }
}

bool EqualsIgnoringCase(std::string_view text, std::string_view lower) {
  return std::equal(text.begin(), text.end(), lower.begin(), lower.end(), [](char a, char b) {
    return (a >= 'A' && a <= 'Z' ? static_cast<char>(a + 32) : a) == b;
  });
}

Error ClientGone() { return {Code::kCancelled, "the client went away"}; }

}  // namespace

// Up to three pieces of memory that go out together.
struct ClientConnection::Pieces {
  void Add(std::string_view piece) {
    if (!piece.empty()) parts[count++] = {const_cast<char*>(piece.data()), piece.size()};
  }
  // Takes what was written off the front.
  void Consume(size_t bytes) {
    while (first < count && bytes >= parts[first].iov_len) bytes -= parts[first++].iov_len;
    if (first == count) return;
    parts[first].iov_base = static_cast<char*>(parts[first].iov_base) + bytes;
    parts[first].iov_len -= bytes;
  }
  [[nodiscard]] bool empty() const { return first == count; }

  std::array<iovec, 3> parts{};
  size_t first = 0;
  size_t count = 0;
};

ClientConnection::ClientConnection(std::shared_ptr<GatewayContext> context,
                                   asio::ip::tcp::socket socket)
    : context_(std::move(context)), socket_(std::move(socket)), fd_(socket_.native_handle()) {
  boost::system::error_code error;
  socket_.set_option(asio::ip::tcp::no_delay(true), error);
  auto address = socket_.remote_endpoint(error).address();
  if (address.is_v6() && address.to_v6().is_v4_mapped()) {
    address = asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6());
  }
  remote_is_loopback_ = address.is_loopback();
  head_.remote_address = address.to_string();
  if (!context_->certificate) return;
  tls_ = std::make_unique<TlsStream>(context_->certificate->context(), fd_);
  head_.https = true;
}

ClientConnection::~ClientConnection() = default;

void ClientConnection::Start(std::unique_ptr<ClientConnection> connection) {
  ClientConnection& started = *connection;
  Connections& table = started.context_->connections;
  started.pass_ = table.Enter();
  if (!started.pass_) return;
  table.SetIdle(started);
  // The handler owns the connection: its signal must outlive the coroutine's use of the slot.
  const auto executor = started.socket_.get_executor();
  const auto slot = started.cancel_.slot();
  auto ended = [owned = std::move(connection)](std::exception_ptr error) {
    if (error) LogException(std::move(error));
  };
  asio::co_spawn(executor, started.ServeAll(),
                 asio::bind_cancellation_slot(slot, std::move(ended)));
}

// One frame for the whole life of the connection: heads are read here and not in a coroutine of
// their own, which would cost an allocation per request.
asio::awaitable<void> ClientConnection::ServeAll() {
  co_await asio::this_coro::throw_if_cancelled(false);
  if (tls_) {
    const bool shaken = co_await ShakeHands();
    if (!shaken) co_return;
  }
  while (!closing_) {
    ResetRequest();
    size_t scanned = 0;
    size_t head_bytes = 0;
    SkipEmptyLines();
    while ((head_bytes = FindHeadEnd(buffer_.data(), scanned)) == 0) {
      if (buffer_.data().size() >= context_->config.header_bytes) break;
      WaitForHead();
      const std::span<char> room = buffer_.Prepare(kHeadReadBytes);
      Received got;
      if (tls_) {
        got = co_await ReadTls(room);
      } else {
        const auto [error, bytes] =
            co_await socket_.async_read_some(asio::buffer(room.data(), room.size()), kAwait);
        got = {error, bytes};
      }
      if (got.error) {
        if (read_timed_out_ && phase_ == Phase::kHead) {
          RequestError refusal{408,
                               {Code::kTimeout,
                                "header timeout: the request's head did not end "
                                "in time (gateway.header_timeout)"}};
          co_await Refuse(std::move(refusal));
        }
        co_return;
      }
      buffer_.Commit(got.bytes);
      if (scanned == 0) SkipEmptyLines();
    }
    context_->connections.SetActive(*this);
    read_deadline_ = kNever;

    auto taken = TakeHead(head_bytes);
    if (!taken) {
      co_await Refuse(std::move(taken.error()));
      break;
    }
    Result<DeployedPtr> function = FindFunction();
    if (!function) {
      const int status = HttpStatus(function.error().code);
      RequestError refusal{status, std::move(function.error())};
      co_await Refuse(std::move(refusal));
    } else if (*function == nullptr) {
      co_await ServeOwnPath();
    } else if (Result<> access = CheckAccess(**function); !access) {
      RequestError refusal{401, std::move(access.error())};
      co_await Refuse(std::move(refusal));
    } else {
      phase_ = Phase::kRouter;
      handed_over_ = context_->connections.coarse_now();
      co_await context_->router.Handle(std::move(*function), *this);
    }
    buffer_.Consume(std::exchange(taken_, 0));
    if (answer_ != Answer::kDone) {
      Abort();
      co_return;
    }
    if (!keep_alive_) break;
  }
  co_await Linger();
}

// A handshake has the time of a head: who does not end it is like one that sends a head slowly.
asio::awaitable<bool> ClientConnection::ShakeHands() {
  phase_ = Phase::kHead;
  read_deadline_ = context_->connections.coarse_now() + context_->config.header_timeout;
  context_->connections.SetActive(*this);
  while (true) {
    const TlsStream::State state = tls_->Handshake();
    if (state == TlsStream::State::kDone) break;
    if (state == TlsStream::State::kPlainHttp) {
      const std::string_view answer = PlainHttpAnswer();
      (void)::send(fd_, answer.data(), answer.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      context_->metrics.CountRefused(400);
      co_await Linger();
      co_return false;
    }
    if (state != TlsStream::State::kWaitRead && state != TlsStream::State::kWaitWrite) {
      co_return false;
    }
    const auto wait = state == TlsStream::State::kWaitRead ? asio::socket_base::wait_read
                                                           : asio::socket_base::wait_write;
    const auto [error] = co_await socket_.async_wait(wait, kAwait);
    if (!error) continue;
    if (read_timed_out_) context_->metrics.CountRefused(408);
    co_return false;
  }
  read_deadline_ = kNever;
  co_return !context_->connections.draining();
}

asio::awaitable<ClientConnection::Received> ClientConnection::ReadTls(std::span<char> room) {
  while (true) {
    const TlsStream::Io io = tls_->Read(room);
    if (io.state == TlsStream::State::kDone) co_return Received{{}, io.bytes};
    if (io.state != TlsStream::State::kWaitRead && io.state != TlsStream::State::kWaitWrite) {
      co_return Received{asio::error::eof, 0};
    }
    const auto wait = io.state == TlsStream::State::kWaitRead ? asio::socket_base::wait_read
                                                              : asio::socket_base::wait_write;
    const auto [error] = co_await socket_.async_wait(wait, kAwait);
    if (error) co_return Received{error, 0};
  }
}

Result<> ClientConnection::WriteTls(Pieces& pieces) {
  while (!pieces.empty()) {
    const std::span<const iovec> left(&pieces.parts[pieces.first], pieces.count - pieces.first);
    const TlsStream::Io io = tls_->Write(left);
    if (io.state == TlsStream::State::kEnded) return tl::unexpected<Error>(ClientGone());
    if (io.state != TlsStream::State::kDone) return {};
    answer_sent_ += io.bytes;
    pieces.Consume(io.bytes);
  }
  return {};
}

// Whether the request has a key of the function's, where it wants one. The function does not get to
// see it: it could be used on the function's behalf elsewhere, and is the node's business.
Result<> ClientConnection::CheckAccess(const Deployed& function) {
  if (!function.keys) return {};
  const std::string name = "function '" + function.manifest.name.value + "'";
  const std::shared_ptr<const KeySet> keys = function.keys->keys();
  TRY_ASSIGN(const Key* key, CheckKey(*keys, head_.headers, name));
  spdlog::debug("{} is called with the key '{}', request_id={}", name, key->name, head_.request_id);
  std::erase_if(head_.headers, [](const Header& header) {
    return EqualsIgnoringCase(header.name, "authorization");
  });
  return {};
}

void ClientConnection::ResetRequest() {
  parsed_ = false;
  head_.method.clear();
  body_limit_ = UINT64_MAX;
  body_read_ = 0;
  body_waited_ = {};
  answer_sent_ = 0;
  answer_waited_ = {};
  body_started_ = false;
  continue_sent_ = false;
  answer_ = Answer::kNone;
  served_by_.reset();
  keep_alive_ = true;
  phase_ = Phase::kIdle;
  read_timed_out_ = false;
  buffer_.Shrink();
}

// An empty line before a request is no request (RFC 9112 2.2).
void ClientConnection::SkipEmptyLines() {
  while (buffer_.data().starts_with("\r\n")) buffer_.Consume(2);
}

// Before each read of a head: an idle connection waits for its first byte, a head for its end.
void ClientConnection::WaitForHead() {
  const SteadyTime now = context_->connections.coarse_now();
  if (buffer_.empty()) {
    phase_ = Phase::kIdle;
    read_deadline_ = now + context_->config.idle_timeout;
    context_->connections.SetIdle(*this);
  } else if (phase_ != Phase::kHead) {
    phase_ = Phase::kHead;
    read_deadline_ = now + context_->config.header_timeout;
    context_->connections.SetActive(*this);
  }
}

tl::expected<void, RequestError> ClientConnection::TakeHead(size_t head_bytes) {
  const size_t limit = context_->config.header_bytes;
  if (head_bytes == 0 || head_bytes > limit) {
    return tl::unexpected<RequestError>(
        {431,
         {Code::kTooLarge, "the request's head has more than " + std::to_string(limit) +
                               " bytes (gateway.max_header)"}});
  }
  auto parsed = parser_.ParseHead(buffer_.data().substr(0, head_bytes), head_);
  buffer_.Consume(head_bytes);
  if (!parsed) return parsed;
  parsed_ = true;
  if (head_.request_id.empty()) context_->connections.NewRequestId(head_.request_id);
  return {};
}

// The function that the request is for; nullptr: a path of the node's own.
Result<DeployedPtr> ClientConnection::FindFunction() {
  TRY_ASSIGN(const Target target, ParseTarget(parser_.target()));
  head_.path.assign(target.path);
  head_.query.assign(target.query);
  head_.script_name.clear();
  if (!target.authority.empty()) head_.host.assign(target.authority);
  TRY(ParseHost(head_.host, host_));

  const Router& router = context_->router;
  if (router.HasHosts()) {
    if (DeployedPtr function = router.FindByHost(host_)) return function;
  }
  TRY_ASSIGN(const auto route, ParseFunctionPath(target.path));
  if (!route) return DeployedPtr();
  name_.value.assign(route->name);
  DeployedPtr function = router.Find(name_);
  if (!function) {
    const auto& ask = context_->out_of_service;
    if (const std::string why = ask ? ask(name_) : ""; !why.empty()) {
      return Fail(Code::kUnavailable, "function '" + name_.value + "' is out of service: " + why);
    }
    return Fail(Code::kNotFound, "no function '" + name_.value +
                                     "' is deployed here; `hybridserve list` names those that are");
  }
  head_.path.assign(route->path);
  head_.script_name.assign(route->script_name);
  return function;
}

asio::awaitable<void> ClientConnection::ServeOwnPath() {
  const bool health = head_.path == "/healthz";
  const bool metrics =
      head_.path == "/metrics" && context_->config.metrics != NodeConfig::MetricsAccess::kOff;
  if (!health && !metrics) {
    RequestError refusal{404,
                         {Code::kNotFound,
                          "nothing is served here; a function's address is "
                          "/function/NAME, or a host name of its manifest"}};
    co_await Refuse(std::move(refusal));
    co_return;
  }
  if (head_.method != "GET" && head_.method != "HEAD") {
    RequestError refusal{405, {Code::kInvalidArgument, "only GET and HEAD are served here"}};
    co_await Refuse(std::move(refusal));
    co_return;
  }
  if (metrics && !remote_is_loopback_ &&
      context_->config.metrics != NodeConfig::MetricsAccess::kAll) {
    RequestError refusal{403,
                         {Code::kForbidden,
                          "metrics are served to this machine only; set "
                          "metrics.access = \"all\" to change that"}};
    co_await Refuse(std::move(refusal));
    co_return;
  }
  ResponseHead answer;
  answer.headers.push_back({"Content-Type", health ? "text/plain" : "text/plain; version=0.0.4"});
  const std::string body = health ? "ok\n" : context_->metrics.Serialize();
  Result<> sent = co_await Send(std::move(answer), body);
  if (!sent) spdlog::debug("{}: {}", head_.path, sent.error().message);
}

asio::awaitable<void> ClientConnection::Refuse(RequestError error) {
  context_->metrics.CountRefused(error.http_status);
  ErrorAnswer answer = MakeErrorAnswer(error.error, error.http_status);
  Result<> sent = co_await Send(std::move(answer.head), answer.body);
  if (!sent) spdlog::debug("refuse a request: {}", sent.error().message);
}

// Closing while the client still sends would reset the connection, and the client might lose the
// answer: what it sends is read and thrown away for a while (RFC 9112 9.6).
asio::awaitable<void> ClientConnection::Linger() {
  if (closing_ || (parsed_ && parser_.done() && buffer_.empty())) co_return;
  if (tls_) tls_->SayGoodbye();
  boost::system::error_code ignored;
  socket_.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
  phase_ = Phase::kLinger;
  read_deadline_ = context_->connections.coarse_now() + kLingerTime;
  buffer_.Consume(buffer_.data().size());
  uint64_t read = 0;
  while (read < kLingerBytes) {
    const std::span<char> room = buffer_.Prepare(kBodyReadBytes);
    const auto [error, bytes] =
        co_await socket_.async_read_some(asio::buffer(room.data(), room.size()), kAwait);
    if (error) co_return;
    read += bytes;
  }
}

// The answer is not whole: a reset tells the client so, whatever the framing.
void ClientConnection::Abort() {
  if (tls_) tls_->Abort();
  boost::system::error_code ignored;
  socket_.set_option(asio::socket_base::linger(true, 0), ignored);
  socket_.close(ignored);
}

Awaitable<std::string_view> ClientConnection::ReadBody() {
  body_started_ = true;
  buffer_.Consume(std::exchange(taken_, 0));
  while (true) {
    Result<std::string_view> piece = NextBodyPiece();
    if (!piece || !piece->empty() || parser_.done()) co_return piece;
    if (buffer_.data().size() > context_->config.header_bytes) {
      co_return Fail(Code::kInvalidArgument,
                     "the body is badly framed: a chunk's head is too long");
    }
    if (parser_.expects_continue() && answer_ == Answer::kNone &&
        !std::exchange(continue_sent_, true)) {
      Pieces go_on;
      go_on.Add("HTTP/1.1 100 Continue\r\n\r\n");
      CO_TRY(WriteNow(go_on));
      if (!go_on.empty()) CO_TRY(co_await WriteRest(go_on));
    }
    const bool small = head_.content_length && *head_.content_length <= ReadBuffer::kIdleBytes;
    Result<> received = co_await Receive(small ? kHeadReadBytes : kBodyReadBytes);
    if (!received) co_return tl::unexpected(std::move(received.error()));
  }
}

// The next piece of the body that is in the buffer; empty: more must be received, or it is done.
Result<std::string_view> ClientConnection::NextBodyPiece() {
  while (!parser_.done() && !buffer_.empty()) {
    TRY_ASSIGN(const RequestParser::BodyStep step, parser_.ParseBody(buffer_.data()));
    if (!step.piece.empty()) {
      taken_ = step.consumed;
      body_read_ += step.piece.size();
      if (body_read_ > body_limit_) {
        return Fail(Code::kTooLarge, "the body has more than the " + std::to_string(body_limit_) +
                                         " bytes that the function takes (limits.body)");
      }
      return step.piece;
    }
    if (step.consumed == 0) break;
    buffer_.Consume(step.consumed);
  }
  return std::string_view();
}

// A body that nobody asked for and that is here already need not cost the connection.
void ClientConnection::SkipBufferedBody() {
  while (!parser_.done()) {
    const Result<std::string_view> piece = NextBodyPiece();
    buffer_.Consume(std::exchange(taken_, 0));
    if (!piece || piece->empty()) return;
  }
}

// When the client must have moved the next bytes: body_timeout after the last ones, and sooner if
// it has moved `bytes` at less than min_rate over the `waited` time that the node waited for it.
SteadyTime ClientConnection::PieceDeadline(uint64_t bytes, SteadyTime::duration waited) const {
  const NodeConfig& config = context_->config;
  const SteadyTime now = context_->connections.coarse_now();
  if (config.min_rate_bytes == 0) return now + config.body_timeout;
  const std::chrono::milliseconds earned(
      static_cast<int64_t>(std::min<uint64_t>(bytes, 1ull << 50) * 1000 / config.min_rate_bytes));
  return now + std::min<SteadyTime::duration>(config.body_timeout,
                                              config.body_timeout + earned - waited);
}

Awaitable<> ClientConnection::Receive(size_t bytes) {
  const SteadyTime began = context_->connections.coarse_now();
  read_deadline_ = PieceDeadline(body_read_, body_waited_);
  const std::span<char> room = buffer_.Prepare(bytes);
  Received got;
  if (tls_) {
    got = co_await ReadTls(room);
  } else {
    const auto [error, received] =
        co_await socket_.async_read_some(asio::buffer(room.data(), room.size()), kAwait);
    got = {error, received};
  }
  read_deadline_ = kNever;
  body_waited_ += context_->connections.coarse_now() - began;
  if (got.error && read_timed_out_) {
    co_return Fail(Code::kTimeout,
                   "body timeout: the client sent nothing of its body for " +
                       std::to_string(context_->config.body_timeout.count()) +
                       " ms (gateway.body_timeout), or less than " +
                       std::to_string(context_->config.min_rate_bytes) +
                       " bytes a second (gateway.min_rate)");
  }
  if (got.error) co_return tl::unexpected<Error>(ClientGone());
  buffer_.Commit(got.bytes);
  co_return Result<>();
}

// Settles how the answer ends, and whether the connection goes on after it.
Framing ClientConnection::StartAnswer(ResponseHead& head, BodyEnd end, uint64_t length) {
  // It was the client that let the time pass.
  if (read_timed_out_ && head.status == 504) head.status = 408;
  const bool http_1_0 = parsed_ && parser_.is_http_1_0();
  if (end == BodyEnd::kChunked && http_1_0) end = BodyEnd::kClose;
  if (HasNoBody(head.status)) end = BodyEnd::kNone;
  sends_body_ = end != BodyEnd::kNone && head_.method != "HEAD";
  body_end_ = end;
  answer_left_ = length;

  keep_alive_ = parsed_ && parser_.keep_alive() && parser_.done() && end != BodyEnd::kClose &&
                !closing_ && !context_->connections.draining();
  answer_ = Answer::kBegun;
  Framing framing;
  framing.end = end;
  framing.length = length;
  framing.keep_alive = keep_alive_;
  framing.http_1_0 = http_1_0;
  framing.date = context_->connections.date();
  if (parsed_) framing.request_id = head_.request_id;
  framing.served_by = &served_by_;
  return framing;
}

Awaitable<> ClientConnection::Send(ResponseHead head, std::string_view body) {
  if (parsed_ && !body_started_) SkipBufferedBody();
  out_.clear();
  AppendResponseHead(out_, head, StartAnswer(head, BodyEnd::kLength, body.size()));
  Pieces pieces;
  pieces.Add(out_);
  if (sends_body_) pieces.Add(body);
  CO_TRY(WriteNow(pieces));
  if (!pieces.empty()) CO_TRY(co_await WriteRest(pieces));
  answer_ = Answer::kDone;
  co_return Result<>();
}

Awaitable<> ClientConnection::Begin(ResponseHead head, std::optional<uint64_t> content_length) {
  const BodyEnd end = content_length ? BodyEnd::kLength : BodyEnd::kChunked;
  out_.clear();
  AppendResponseHead(out_, head, StartAnswer(head, end, content_length.value_or(0)));
  Pieces pieces;
  pieces.Add(out_);
  CO_TRY(WriteNow(pieces));
  if (!pieces.empty()) CO_TRY(co_await WriteRest(pieces));
  co_return Result<>();
}

Awaitable<> ClientConnection::Write(std::string_view piece) {
  if (!sends_body_ || piece.empty()) co_return Result<>();
  Pieces pieces;
  if (body_end_ == BodyEnd::kChunked) {
    out_.clear();
    AppendChunkSize(out_, piece.size());
    pieces.Add(out_);
    pieces.Add(piece);
    pieces.Add("\r\n");
  } else {
    if (body_end_ == BodyEnd::kLength && piece.size() > answer_left_) {
      co_return Fail(Code::kFunctionFailed, "the function sent more than its Content-Length");
    }
    answer_left_ -= piece.size();
    pieces.Add(piece);
  }
  CO_TRY(WriteNow(pieces));
  if (!pieces.empty()) CO_TRY(co_await WriteRest(pieces));
  co_return Result<>();
}

Awaitable<> ClientConnection::End() {
  if (sends_body_ && body_end_ == BodyEnd::kLength && answer_left_ > 0) {
    co_return Fail(Code::kFunctionFailed, "the function sent less than its Content-Length");
  }
  if (sends_body_ && body_end_ == BodyEnd::kChunked) {
    Pieces pieces;
    pieces.Add("0\r\n\r\n");
    CO_TRY(WriteNow(pieces));
    if (!pieces.empty()) CO_TRY(co_await WriteRest(pieces));
  }
  answer_ = Answer::kDone;
  co_return Result<>();
}

// Writes what the socket takes at once: nearly always all of it.
Result<> ClientConnection::WriteNow(Pieces& pieces) {
  if (tls_) return WriteTls(pieces);
  msghdr message{};
  message.msg_iov = &pieces.parts[pieces.first];
  message.msg_iovlen = pieces.count - pieces.first;
  const ssize_t wrote = ::sendmsg(fd_, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (wrote >= 0) {
    answer_sent_ += static_cast<uint64_t>(wrote);
    pieces.Consume(static_cast<size_t>(wrote));
    return {};
  }
  if (errno == EAGAIN || errno == EINTR) return {};
  return tl::unexpected<Error>(ClientGone());
}

Awaitable<> ClientConnection::WriteRest(Pieces pieces) {
  while (!pieces.empty()) {
    const SteadyTime began = context_->connections.coarse_now();
    if (answer_waited_ == SteadyTime::duration::zero()) answer_sent_ = 0;  // The kernel's buffers.
    write_deadline_ = PieceDeadline(answer_sent_, answer_waited_);
    const auto [error] = co_await socket_.async_wait(asio::ip::tcp::socket::wait_write, kAwait);
    write_deadline_ = kNever;
    answer_waited_ += context_->connections.coarse_now() - began;
    if (error) co_return tl::unexpected<Error>(ClientGone());
    CO_TRY(WriteNow(pieces));
  }
  co_return Result<>();
}

void ClientConnection::OnDeadline(SteadyTime now) {
  if (read_deadline_ <= now) {
    read_timed_out_ = true;
    read_deadline_ = kNever;
  }
  if (write_deadline_ <= now) write_deadline_ = kNever;
  boost::system::error_code ignored;
  socket_.cancel(ignored);
}

int ClientConnection::watched_socket() const {
  const bool with_router = phase_ == Phase::kRouter && !abandoned_;
  // Most requests are answered before the next tick and never cost a look.
  return with_router && handed_over_ < context_->connections.coarse_now() ? fd_ : -1;
}

void ClientConnection::Abandon() {
  abandoned_ = true;
  closing_ = true;
  if (phase_ == Phase::kRouter) {
    cancel_.emit(asio::cancellation_type::terminal);
  } else {
    CloseIdle();
  }
}

void ClientConnection::CloseIdle() {
  closing_ = true;
  boost::system::error_code ignored;
  socket_.cancel(ignored);
}

bool ClientConnection::HasUnread() const {
  boost::system::error_code error;
  return socket_.available(error) > 0 && !error;
}

}  // namespace hybridserve
