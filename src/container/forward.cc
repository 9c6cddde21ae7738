// How one exchange runs.
//
// The coroutine that calls Run does everything for a small request with a small answer. A body that
// streams gets a coroutine of its own, so that both directions go on at once and each can be
// stopped while it waits for the client: at the deadline, when the other one fails, or when the
// answer is complete before the request is. Waiting on the container needs no cancelling: shutting
// the connection down ends it.
#include "container/forward.h"

#include <array>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>
#include <charconv>
#include <cstring>

namespace hybridserve {
namespace {

namespace asio = boost::asio;

constexpr size_t kStreamBufferBytes = 64 * 1024;

}  // namespace

Forwarder::Forwarder(asio::any_io_executor executor, Clock& clock, Exchange& exchange,
                     std::chrono::milliseconds run_timeout, const AddHeaders& add_headers)
    : executor_(std::move(executor)),
      clock_(clock),
      exchange_(exchange),
      run_timeout_(run_timeout),
      add_headers_(add_headers),
      parser_(ResponseParser::Method::kOther),
      framing_(RequestFraming(exchange.head())),
      child_ended_(executor_) {}

asio::awaitable<Forwarder::Outcome> Forwarder::Run(Connection& connection) {
  const RequestHead& head = exchange_.head();
  connection_ = &connection;
  parser_ = ResponseParser(head.method == "HEAD" ? ResponseParser::Method::kHead
                                                 : ResponseParser::Method::kOther);
  filled_ = 0;
  lost_ = false;
  connection.out.clear();
  AppendRequestHead(connection.out, head);

  const bool small = framing_ == BodyFraming::kLength && *head.content_length <= kSmallBodyBytes;
  if (small && !body_collected_) {
    // Before the connection is touched: it stays good if the client fails here.
    Result<> collected = co_await CollectBody();
    if (!collected) {
      Outcome outcome;
      outcome.result = tl::unexpected(std::move(collected.error()));
      outcome.reusable = true;
      co_return outcome;
    }
  }

  started_ = clock_.Now();
  deadline_ = clock_.At(started_ + run_timeout_, [this] { OnDeadline(); });
  const std::array<std::string_view, 2> request{connection.out, small_body_};
  // A container that answers and closes before it has read everything makes this fail; its answer
  // can be read nevertheless.
  Result<> written = co_await connection.Write(std::span<const std::string_view>(request));
  if (!written && written.error().code == Code::kCancelled) {
    Outcome outcome = Finish(std::move(written));
    co_return outcome;
  }
  if (framing_ != BodyFraming::kNone && !small) StartUpload();

  Result<> received = co_await Receive();
  co_await StopChildren();
  Outcome outcome = Finish(std::move(received));
  co_return outcome;
}

Awaitable<> Forwarder::CollectBody() {
  const uint64_t length = *exchange_.head().content_length;
  small_body_.reserve(length);
  body_read_ = true;
  for (;;) {
    CO_TRY_ASSIGN(const std::string_view piece, co_await exchange_.ReadBody());
    if (piece.empty()) break;
    small_body_.append(piece);
    // Its end needs no further call: the length says where it is.
    if (small_body_.size() >= length) break;
  }
  if (small_body_.size() != length) {
    co_return Fail(Code::kInvalidArgument,
                   "the request's body is not as long as its Content-Length");
  }
  body_collected_ = true;
  co_return Result<>{};
}

void Forwarder::StartUpload() {
  uploading_ = true;
  asio::co_spawn(executor_, Upload(),
                 asio::bind_cancellation_slot(cancel_upload_.slot(), [this](std::exception_ptr) {
                   uploading_ = false;
                   child_ended_.Set();
                 }));
}

asio::awaitable<void> Forwarder::Upload() {
  co_await asio::this_coro::throw_if_cancelled(false);
  Result<> sent = co_await StreamUp();
  if (!sent) {
    upload_error_ = std::move(sent.error());
    connection_->Shutdown();  // wakes whoever waits for the answer
  }
}

// Ends well, too, when the container stops reading: what it answers counts.
Awaitable<> Forwarder::StreamUp() {
  const bool chunked = framing_ == BodyFraming::kChunked;
  uint64_t left = exchange_.head().content_length.value_or(0);
  body_read_ = true;
  for (;;) {
    CO_TRY_ASSIGN(const std::string_view piece, co_await exchange_.ReadBody());
    if (!chunked && (piece.size() > left || (piece.empty() && left > 0))) {
      co_return Fail(Code::kInvalidArgument,
                     "the request's body is not as long as its Content-Length");
    }
    left -= chunked ? 0 : piece.size();
    std::array<std::string_view, 3> parts{};
    std::array<char, 20> size_line{};
    if (chunked && piece.empty()) {
      parts[0] = "0\r\n\r\n";
    } else if (chunked) {
      char* end = std::to_chars(size_line.data(), size_line.data() + 16, piece.size(), 16).ptr;
      std::memcpy(end, "\r\n", 2);
      parts = {std::string_view(size_line.data(), static_cast<size_t>(end + 2 - size_line.data())),
               piece, std::string_view("\r\n")};
    } else {
      parts[0] = piece;
    }
    Result<> written = co_await connection_->Write(std::span<const std::string_view>(parts));
    if (!written) {
      upload_cut_ = true;
      co_return Result<>{};
    }
    if (piece.empty() || (!chunked && left == 0)) co_return Result<>{};
  }
}

Awaitable<> Forwarder::Receive() {
  CO_TRY(co_await ReceiveHead());
  result_.status = parser_.head().status;
  if (FitsBuffer()) CO_TRY(co_await ReceiveSmallBody());
  CO_TRY_ASSIGN(body_, Decode(connection_->in.data() + body_begin_, filled_ - body_begin_));
  Result<> sent;
  if (parser_.done()) {
    sent = co_await SendWhole();
  } else {
    sent = co_await RunDownload();
  }
  co_return sent;
}

Awaitable<> Forwarder::ReceiveHead() {
  std::vector<char>& in = connection_->in;
  if (in.size() < Connection::kBufferBytes) in.resize(Connection::kBufferBytes);
  for (;;) {
    if (filled_ == in.size()) in.resize(in.size() * 2);  // the parser bounds it
    Result<size_t> size =
        co_await connection_->Read(std::span(in).subspan(filled_), Connection::Expect::kNothingYet);
    if (!size) co_return Lost(&size.error());
    if (*size == 0) co_return Lost(nullptr);
    filled_ += *size;
    CO_TRY_ASSIGN(const ResponseParser::HeadStep step, parser_.ParseHead({in.data(), filled_}));
    if (step.done) {
      body_begin_ = step.consumed;
      co_return Result<>{};
    }
    if (step.consumed > 0) {
      filled_ -= step.consumed;
      std::memmove(in.data(), in.data() + step.consumed, filled_);
    }
  }
}

bool Forwarder::FitsBuffer() const {
  return parser_.framing() == ResponseParser::Framing::kLength &&
         parser_.left() <= connection_->in.size() - body_begin_;
}

Awaitable<> Forwarder::ReceiveSmallBody() {
  const size_t wanted = body_begin_ + parser_.left();
  while (filled_ < wanted) {
    Result<size_t> size = co_await connection_->Read(std::span(connection_->in).subspan(filled_),
                                                     Connection::Expect::kBytes);
    if (!size) co_return Lost(&size.error());
    if (*size == 0) co_return Lost(nullptr);
    filled_ += *size;
  }
  co_return Result<>{};
}

// Decodes `size` bytes and moves those of the body together, to the front.
Result<std::string_view> Forwarder::Decode(char* bytes, size_t size) {
  size_t taken = 0;
  size_t kept = 0;
  while (taken < size && !parser_.done()) {
    TRY_ASSIGN(const ResponseParser::Piece piece, parser_.Next({bytes + taken, size - taken}));
    if (!piece.data.empty() && piece.data.data() != bytes + kept) {
      std::memmove(bytes + kept, piece.data.data(), piece.data.size());
    }
    kept += piece.data.size();
    taken += piece.consumed;
  }
  surplus_ = taken < size;
  return std::string_view(bytes, kept);
}

Awaitable<> Forwarder::SendWhole() {
  deadline_.Cancel();
  result_.run = RunSoFar();
  ResponseHead head = std::move(parser_.head());
  if (add_headers_) add_headers_(head, result_.run);
  if (parser_.framing() == ResponseParser::Framing::kNone && parser_.content_length() &&
      head.status != 204) {
    // HEAD and 304 announce a length and have no body.
    CO_TRY(co_await exchange_.Begin(std::move(head), parser_.content_length()));
    Result<> ended = co_await exchange_.End();
    co_return ended;
  }
  Result<> sent = co_await exchange_.Send(std::move(head), body_);
  co_return sent;
}

// The answer streams in a coroutine of its own, which the deadline can stop while the client is
// slow to take it.
Awaitable<> Forwarder::RunDownload() {
  downloading_ = true;
  download_ = Fail(Code::kCancelled, "the client went away");  // stands if it never gets to run
  asio::co_spawn(executor_, Download(),
                 asio::bind_cancellation_slot(cancel_download_.slot(), [this](std::exception_ptr) {
                   downloading_ = false;
                   child_ended_.Set();
                 }));
  while (downloading_) {
    co_await child_ended_.Wait();
    const asio::cancellation_state state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) CancelChildren();
  }
  co_return std::move(download_);
}

asio::awaitable<void> Forwarder::Download() {
  co_await asio::this_coro::throw_if_cancelled(false);
  download_ = co_await StreamDown();
}

Awaitable<> Forwarder::StreamDown() {
  ResponseHead head = std::move(parser_.head());
  if (add_headers_) add_headers_(head, RunSoFar());
  CO_TRY(co_await exchange_.Begin(std::move(head), parser_.content_length()));
  std::vector<char> buffer(kStreamBufferBytes);
  for (;;) {
    client_takes_ = true;
    if (!body_.empty()) CO_TRY(co_await exchange_.Write(body_));
    client_takes_ = false;
    if (parser_.done()) break;
    Result<size_t> size = co_await connection_->Read(buffer, Connection::Expect::kBytes);
    if (!size) co_return Lost(&size.error());
    if (*size == 0) {
      if (parser_.framing() == ResponseParser::Framing::kUntilClose && !timed_out_ &&
          !upload_error_) {
        break;
      }
      co_return Lost(nullptr);
    }
    CO_TRY_ASSIGN(body_, Decode(buffer.data(), *size));
  }
  result_.run = RunSoFar();
  Result<> ended = co_await exchange_.End();
  co_return ended;
}

void Forwarder::OnDeadline() {
  timed_out_ = true;
  // A client that sends or reads slowly says nothing about the container.
  overran_ = !uploading_ && !client_takes_;
  CancelChildren();
}

void Forwarder::CancelChildren() {
  connection_->Shutdown();
  cancel_upload_.emit(asio::cancellation_type::terminal);
  cancel_download_.emit(asio::cancellation_type::terminal);
}

// Children refer to this object: none is left behind.
asio::awaitable<void> Forwarder::StopChildren() {
  if (!uploading_ && !downloading_) co_return;
  upload_cut_ = true;
  while (uploading_ || downloading_) {
    CancelChildren();
    co_await child_ended_.Wait();
  }
}

tl::unexpected<Error> Forwarder::Lost(const Error* cause) {
  if (cause != nullptr && cause->code == Code::kCancelled) {
    return Fail(Code::kCancelled, "the client went away");
  }
  lost_ = !timed_out_ && !upload_error_;
  return Fail(Code::kBackendDied,
              exchange_.answered()
                  ? "the container closed the connection in the middle of its answer"
                  : "the container closed the connection before it answered");
}

Forwarder::Outcome Forwarder::Finish(Result<> received) {
  deadline_.Cancel();
  Outcome outcome;
  // What ended the connection counts, not how the one who waited for the answer saw it.
  if (!received && timed_out_) {
    outcome.result =
        Fail(Code::kTimeout, "run timeout: the container did not finish its answer in " +
                                 std::to_string(run_timeout_.count()) + " ms");
  } else if (!received && upload_error_ && !lost_) {
    outcome.result = tl::unexpected(std::move(*upload_error_));
  } else if (!received) {
    outcome.result = tl::unexpected(std::move(received.error()));
  } else {
    outcome.result = result_;
  }
  outcome.reusable = outcome.result.has_value() && parser_.keep_alive() && parser_.done() &&
                     !surplus_ && !upload_cut_;
  outcome.lost = lost_;
  outcome.overran = overran_ && !outcome.result;
  outcome.stale = lost_ && connection_->used() && filled_ == 0 && !exchange_.answered() &&
                  (!body_read_ || body_collected_) && IsIdempotent(exchange_.head().method);
  if (outcome.reusable) {
    connection_->MarkUsed();
  } else {
    connection_->Shutdown();
  }
  return outcome;
}

Microseconds Forwarder::RunSoFar() const {
  return std::chrono::duration_cast<Microseconds>(clock_.Now() - started_);
}

}  // namespace hybridserve
