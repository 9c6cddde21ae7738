// How a request goes: head, allow-list, connection, head up, then body up and answer down at the
// same time. The deadline shuts connections down, which ends every wait on them.
#include "egress/session.h"

#include <spdlog/spdlog.h>

#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>

#include "gateway/response_head.h"

namespace hybridserve {
namespace {

namespace asio = boost::asio;

// What is read ahead of a function, and the size of one read.
constexpr size_t kBufferBytes = 64 * 1024;
constexpr size_t kReadBytes = 16 * 1024;

constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
constexpr std::string_view kEstablished = "HTTP/1.1 200 Connection established\r\n\r\n";
constexpr std::string_view kLastChunk = "0\r\n\r\n";

EgressFailure FromRequestError(RequestError error) {
  return {error.http_status, EgressResult::kBadRequest, "http_request_error",
          std::move(error.error)};
}

// What a failure to connect means to the function.
EgressFailure FromDialError(Error error) {
  switch (error.code) {
    case Code::kForbidden:
      return {403, EgressResult::kForbidden, "destination_ip_prohibited", std::move(error)};
    case Code::kTimeout:
      return {504, EgressResult::kTimeout, "connection_timeout", std::move(error)};
    case Code::kNotFound:
      return {502, EgressResult::kUnreachable, "dns_error", std::move(error)};
    default:
      return {502, EgressResult::kUnreachable, "destination_unavailable", std::move(error)};
  }
}

}  // namespace

EgressSession::EgressSession(std::shared_ptr<const EgressParts> parts, UniqueFd client,
                             DeployedPtr function, FunctionCountsPtr counts, Idle idle)
    : parts_(std::move(parts)),
      client_(parts_->executor, std::move(client)),
      function_(std::move(function)),
      counts_(std::move(counts)),
      idle_(idle),
      allow_(function_->manifest.network, parts_->options.allowed),
      filled_(parts_->executor),
      drained_(parts_->executor),
      child_ended_(parts_->executor) {}

asio::awaitable<void> EgressSession::Run() {
  const std::shared_ptr<EgressSession> self = shared_from_this();
  asio::co_spawn(parts_->executor, ReadClient(), [self](std::exception_ptr) {});
  bool again = true;
  while (again && !closed_) {
    again = co_await ServeOne();
    timer_.Cancel();
    // Before the connection is taken away from under it.
    if (upstream_) upstream_->Shutdown();
    if (!again) Close();
    co_await WaitForChild();
    upstream_.reset();
  }
  Close();
}

void EgressSession::Close() {
  closed_ = true;
  timer_.Cancel();
  client_.Shutdown();
  if (upstream_) upstream_->Shutdown();
  filled_.Set();
  drained_.Set();
}

asio::awaitable<void> EgressSession::ReadClient() {
  std::array<char, kReadBytes> bytes;
  while (!closed_) {
    if (in_.size() >= kBufferBytes) {
      co_await drained_.Wait();
      continue;
    }
    const Result<size_t> size = co_await client_.Read(bytes, Connection::Expect::kNothingYet);
    if (!size || *size == 0) break;
    in_.append(bytes.data(), *size);
    filled_.Set();
  }
  client_ended_ = true;
  filled_.Set();
  // A function that leaves before it has its answer wants it no more; a tunnel ends by itself.
  if (upstream_ && !outbound_.tunnel) upstream_->Shutdown();
}

asio::awaitable<void> EgressSession::MoreThan(size_t known) {
  while (in_.size() <= known && !client_ended_ && !closed_) co_await filled_.Wait();
}

asio::awaitable<bool> EgressSession::Refuse(EgressFailure failure, bool keep_alive) {
  Count(failure.result, failure.status);
  const std::string answer = FailureAnswer(failure, head_.method != "HEAD", keep_alive);
  const Result<> said = co_await client_.Write(answer);
  co_return said.has_value() && keep_alive;
}

// True once in_ begins with a whole head, whose size is scanned_.
asio::awaitable<bool> EgressSession::ReadHead() {
  const EgressOptions& options = parts_->options;
  Clock& clock = parts_->clock;
  const auto give_up = [this] { Close(); };
  if (idle_ == Idle::kCloses) timer_ = clock.At(clock.Now() + options.idle_timeout, give_up);
  co_await MoreThan(0);
  timer_ = clock.At(clock.Now() + options.head_timeout, give_up);
  scanned_ = 0;
  size_t head_bytes = 0;
  while (true) {
    head_bytes = FindHeadEnd(in_, scanned_);
    if (head_bytes > 0 || in_.size() > options.max_head_bytes) break;
    const size_t known = in_.size();
    co_await MoreThan(known);
    if (in_.size() == known) co_return false;
  }
  timer_.Cancel();
  scanned_ = head_bytes;
  co_return true;
}

// False: the connection ends.
asio::awaitable<bool> EgressSession::ServeOne() {
  const bool there = co_await ReadHead();
  if (!there || closed_) co_return false;
  head_.method.clear();
  if (scanned_ == 0 || scanned_ > parts_->options.max_head_bytes) {
    EgressFailure failure{431, EgressResult::kBadRequest, "http_request_error",
                          {Code::kTooLarge, "the request's head is over " +
                                                std::to_string(parts_->options.max_head_bytes) +
                                                " bytes"}};
    co_return co_await Refuse(std::move(failure), false);
  }
  const std::string bytes = in_.substr(0, scanned_);
  in_.erase(0, scanned_);
  drained_.Set();
  auto parsed = parser_.ParseHead(bytes, head_);
  if (!parsed) {
    EgressFailure failure = FromRequestError(std::move(parsed.error()));
    co_return co_await Refuse(std::move(failure), false);
  }
  auto outbound = ParseOutbound(head_.method, parser_.target());
  const bool keep_alive = parser_.keep_alive() && !head_.has_body;
  if (!outbound) {
    EgressFailure failure = std::move(outbound.error());
    co_return co_await Refuse(std::move(failure), keep_alive);
  }
  outbound_ = std::move(*outbound);
  if (outbound_.tunnel && head_.has_body) {
    EgressFailure failure{400, EgressResult::kBadRequest, "http_request_error",
                          {Code::kInvalidArgument, "a CONNECT request has no body"}};
    co_return co_await Refuse(std::move(failure), false);
  }
  Result<> allowed = allow_.Check(outbound_.destination);
  if (!allowed) {
    EgressFailure failure{403, EgressResult::kForbidden, "http_request_denied",
                          std::move(allowed.error())};
    co_return co_await Refuse(std::move(failure), keep_alive);
  }
  const bool again = co_await Exchange();
  co_return again;
}

asio::awaitable<bool> EgressSession::Exchange() {
  timed_out_ = answering_ = false;
  body_sent_ = !head_.has_body;
  const std::chrono::milliseconds run_timeout = function_->manifest.limits.run_timeout;
  timer_ = parts_->clock.At(parts_->clock.Now() + run_timeout, [this] { OnDeadline(); });
  const bool may_go_on = parser_.keep_alive() && !head_.has_body;
  Failure dialed = co_await Dial();
  if (!dialed) {
    EgressFailure failure = std::move(dialed.error());
    co_return co_await Refuse(std::move(failure), may_go_on);
  }
  if (outbound_.tunnel) {
    co_await Tunnel();
    co_return false;
  }
  if (parser_.expects_continue() && head_.has_body) {
    const Result<> said = co_await client_.Write(kContinue);
    if (!said) co_return false;
  }
  if (head_.has_body) StartChild(Upload());
  Failure received = co_await ReceiveHead();
  if (!received) {
    EgressFailure failure = std::move(received.error());
    co_return co_await Refuse(std::move(failure), may_go_on);
  }
  // A body that is not up yet when the answer is there: what follows it cannot be told apart.
  const bool keep_alive = parser_.keep_alive() && (body_sent_ || may_go_on);
  const AnswerFraming framing = FrameAnswer(*answer_, parser_.is_http_1_0(), keep_alive);
  const int status = answer_->head().status;
  const bool passed = co_await PassAnswer(framing);
  Count(passed ? EgressResult::kOk : timed_out_ ? EgressResult::kTimeout : EgressResult::kCut,
        status);
  co_return passed && framing.keep_alive && body_sent_;
}

asio::awaitable<EgressSession::Failure> EgressSession::Dial() {
  Destination destination = outbound_.destination;
  const auto limit =
      std::min(parts_->options.connect_timeout, function_->manifest.limits.run_timeout);
  const Clock::TimePoint deadline = parts_->clock.Now() + limit;
  Result<UniqueFd> stream = co_await parts_->dialer.Dial(std::move(destination), deadline);
  if (!stream) co_return tl::unexpected<EgressFailure>(FromDialError(std::move(stream.error())));
  upstream_ = std::make_unique<Connection>(parts_->executor, std::move(*stream));
  if (closed_ || (client_ended_ && !outbound_.tunnel)) upstream_->Shutdown();
  if (outbound_.tunnel) co_return Failure{};
  std::string head;
  AppendOutboundHead(head, head_, outbound_);
  const Result<> written = co_await upstream_->Write(head);
  if (!written) co_return tl::unexpected<EgressFailure>(Lost(" closed the connection"));
  co_return Failure{};
}

EgressFailure EgressSession::Lost(std::string what) const {
  const std::string host = Authority(outbound_.destination);
  if (timed_out_) {
    return {504, EgressResult::kTimeout, "http_response_timeout",
            {Code::kTimeout, host + " did not answer within " +
                                 std::to_string(function_->manifest.limits.run_timeout.count()) +
                                 " ms (limits.run_timeout)"}};
  }
  const EgressResult result = client_ended_ ? EgressResult::kCut : EgressResult::kUnreachable;
  return {502, result, "connection_terminated", {Code::kFunctionFailed, host + std::move(what)}};
}

asio::awaitable<EgressSession::Failure> EgressSession::ReceiveHead() {
  answer_.emplace(head_.method == "HEAD" ? ResponseParser::Method::kHead
                                         : ResponseParser::Method::kOther,
                  "the answer");
  from_upstream_.clear();
  std::array<char, kReadBytes> bytes;
  while (true) {
    const Result<size_t> size = co_await upstream_->Read(bytes, Connection::Expect::kNothingYet);
    if (!size || *size == 0) {
      co_return tl::unexpected<EgressFailure>(Lost(" closed the connection before it answered"));
    }
    from_upstream_.append(bytes.data(), *size);
    const Result<ResponseParser::HeadStep> step = answer_->ParseHead(from_upstream_);
    if (!step) {
      EgressFailure failure = Lost(": " + step.error().message);
      failure.proxy_error = "http_protocol_error";
      co_return tl::unexpected<EgressFailure>(std::move(failure));
    }
    from_upstream_.erase(0, step->consumed);
    if (step->done) co_return Failure{};
  }
}

// True when the whole answer is with the function.
asio::awaitable<bool> EgressSession::PassAnswer(AnswerFraming framing) {
  answering_ = true;
  std::string out;
  AppendAnswerHead(out, answer_->head(), framing);
  const bool until_close = answer_->framing() == ResponseParser::Framing::kUntilClose;
  const bool chunked = framing.end == AnswerEnd::kChunked;
  std::array<char, kReadBytes> bytes;
  bool ended = false;
  while (true) {
    while (!from_upstream_.empty() && !answer_->done()) {
      const Result<ResponseParser::Piece> piece = answer_->Next(from_upstream_);
      if (!piece) co_return false;
      if (!piece->data.empty()) {
        if (chunked) AppendChunkSize(out, piece->data.size());
        out.append(piece->data);
        if (chunked) out.append("\r\n");
      }
      from_upstream_.erase(0, piece->consumed);
    }
    ended = answer_->done() || (until_close && ended);
    if (ended && chunked) out.append(kLastChunk);
    const Result<> written = co_await client_.Write(out);
    out.clear();
    if (!written || ended) co_return written.has_value() && !timed_out_;
    const Result<size_t> size = co_await upstream_->Read(bytes, Connection::Expect::kNothingYet);
    if (!size || timed_out_ || closed_) co_return false;
    if (*size == 0 && (!until_close || client_ended_)) co_return false;
    ended = *size == 0;
    from_upstream_.append(bytes.data(), *size);
  }
}

asio::awaitable<void> EgressSession::Upload() {
  const bool sent = co_await SendBody();
  body_sent_ = sent;
  // A destination that answers before it has everything may still be read from; a function that
  // stops in the middle gets no answer.
  if (!sent && client_ended_) upstream_->Shutdown();
}

asio::awaitable<bool> EgressSession::SendBody() {
  const bool chunked = !head_.content_length;
  std::string out;
  while (!parser_.done()) {
    const Result<RequestParser::BodyStep> step = parser_.ParseBody(in_);
    if (!step) {
      upstream_->Shutdown();
      co_return false;
    }
    out.clear();
    if (!step->piece.empty()) {
      if (chunked) AppendChunkSize(out, step->piece.size());
      out.append(step->piece);
      if (chunked) out.append("\r\n");
    }
    const size_t left = in_.size() - step->consumed;
    in_.erase(0, step->consumed);
    drained_.Set();
    if (!out.empty()) {
      const Result<> written = co_await upstream_->Write(out);
      if (!written) co_return false;
    }
    if (parser_.done()) break;
    if (step->consumed > 0 && left > 0) continue;
    co_await MoreThan(left);
    if (closed_ || (client_ended_ && in_.size() <= left)) co_return false;
  }
  if (chunked) {
    const Result<> written = co_await upstream_->Write(kLastChunk);
    if (!written) co_return false;
  }
  co_return true;
}

asio::awaitable<void> EgressSession::Tunnel() {
  const Result<> said = co_await client_.Write(kEstablished);
  if (!said) co_return;
  Count(EgressResult::kOk, 200);
  Touch();
  OnTunnelIdle();
  StartChild(TunnelUp());
  std::array<char, kReadBytes> bytes;
  while (true) {
    const Result<size_t> size = co_await upstream_->Read(bytes, Connection::Expect::kNothingYet);
    if (!size || *size == 0) break;
    Touch();
    const Result<> written = co_await client_.Write(std::string_view(bytes.data(), *size));
    if (!written) co_return;
  }
  client_.ShutdownWrite();
  co_await WaitForChild();
}

asio::awaitable<void> EgressSession::TunnelUp() {
  while (true) {
    co_await MoreThan(0);
    if (closed_ || in_.empty()) break;
    Touch();
    const std::string bytes = std::exchange(in_, std::string());
    drained_.Set();
    const Result<> written = co_await upstream_->Write(bytes);
    if (!written) break;
  }
  if (upstream_) upstream_->ShutdownWrite();
}

void EgressSession::StartChild(asio::awaitable<void> child) {
  child_runs_ = true;
  asio::co_spawn(parts_->executor, std::move(child),
                 [self = shared_from_this()](std::exception_ptr) {
                   self->child_runs_ = false;
                   self->child_ended_.Set();
                 });
}

asio::awaitable<void> EgressSession::WaitForChild() {
  while (child_runs_) co_await child_ended_.Wait();
}

void EgressSession::OnDeadline() {
  timed_out_ = true;
  if (upstream_) upstream_->Shutdown();
  // An answer that has begun cannot be told to be late; the function may not even read it.
  if (answering_) client_.Shutdown();
}

// A tunnel may live as long as it is used: only its silence is bounded.
void EgressSession::OnTunnelIdle() {
  const Clock::TimePoint until = last_activity_ + function_->manifest.limits.run_timeout;
  if (parts_->clock.Now() >= until) return Close();
  timer_ = parts_->clock.At(until, [this] { OnTunnelIdle(); });
}

void EgressSession::Count(EgressResult result, int status) {
  Metrics::CountEgress(*counts_, result);
  // Neither path nor headers: either may hold a secret.
  spdlog::debug("egress function={} method={} host={} result={} status={}",
                function_->manifest.name.value, head_.method, Authority(outbound_.destination),
                EgressResultName(result), status);
}

}  // namespace hybridserve
