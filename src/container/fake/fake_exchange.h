// FakeExchange: an HTTP exchange in memory. The test is the client: it gives the request, may hold
// back pieces of the body, may be slow to take the answer, and may go away.
//
// Thread rule: the event loop's thread only.
#pragma once

#include <algorithm>
#include <deque>
#include <optional>
#include <string>

#include "container/event.h"
#include "function/exchange.h"

namespace hybridserve {

class FakeExchange : public Exchange {
 public:
  explicit FakeExchange(const boost::asio::any_io_executor& executor)
      : body_changed_(executor), may_take_(executor) {
    head_.method = "GET";
    head_.host = "example.test";
    head_.remote_address = "192.0.2.7";
    head_.request_id = "request-1";
  }

  // What the client does.
  RequestHead& request() { return head_; }
  /// A request with a whole body of known length.
  void Post(std::string body) {
    head_.method = "POST";
    head_.has_body = true;
    head_.content_length = body.size();
    AddBody(std::move(body));
    EndBody();
  }
  void AddBody(std::string piece) {
    pieces_.push_back(std::move(piece));
    body_changed_.Set();
  }
  void EndBody() {
    ended_ = true;
    body_changed_.Set();
  }
  void FailBody(Error error) {
    body_error_ = std::move(error);
    body_changed_.Set();
  }
  /// The client stops taking the answer after `bytes` of its body, until TakeAll.
  void TakeOnly(size_t bytes) { room_ = bytes; }
  void TakeAll() {
    room_ = SIZE_MAX;
    may_take_.Set();
  }

  // What the client got.
  [[nodiscard]] bool began() const { return began_; }
  [[nodiscard]] bool complete() const { return complete_; }
  [[nodiscard]] const ResponseHead& answer() const { return answer_; }
  [[nodiscard]] const std::string& body() const { return body_; }
  [[nodiscard]] uint64_t body_bytes() const { return body_bytes_; }
  [[nodiscard]] std::optional<uint64_t> announced() const { return announced_; }
  [[nodiscard]] size_t largest_piece() const { return largest_piece_; }
  [[nodiscard]] std::string Field(std::string_view name) const {
    for (const Header& header : answer_.headers) {
      if (header.name == name) return header.value;
    }
    return "";
  }
  /// Keeps only the size of the answer's body: for bodies that are larger than memory.
  void KeepNoBody() { keep_body_ = false; }

  // Exchange.
  [[nodiscard]] const RequestHead& head() const override { return head_; }
  Awaitable<std::string_view> ReadBody() override {
    while (pieces_.empty() && !ended_ && !body_error_) {
      co_await body_changed_.Wait();
      const auto state = co_await boost::asio::this_coro::cancellation_state;
      if (state.cancelled() != boost::asio::cancellation_type::none) {
        co_return Fail(Code::kCancelled, "the client went away");
      }
    }
    if (pieces_.empty() && body_error_) co_return tl::unexpected(*body_error_);
    current_.clear();
    if (!pieces_.empty()) {
      current_ = std::move(pieces_.front());
      pieces_.pop_front();
    }
    taken_ += current_.size();
    if (taken_ > limit_) co_return Fail(Code::kTooLarge, "the request's body is over its limit");
    co_return std::string_view(current_);
  }
  void LimitBody(uint64_t bytes) override { limit_ = bytes; }
  Awaitable<> Send(ResponseHead head, std::string_view body) override {
    Result<> begun = co_await Begin(std::move(head), body.size());
    if (!begun) co_return begun;
    Result<> written = co_await Write(body);
    if (!written) co_return written;
    Result<> ended = co_await End();
    co_return ended;
  }
  Awaitable<> Begin(ResponseHead head, std::optional<uint64_t> content_length) override {
    began_ = true;
    answer_ = std::move(head);
    announced_ = content_length;
    co_return Result<>{};
  }
  Awaitable<> Write(std::string_view piece) override {
    while (body_bytes_ + piece.size() > room_) {
      co_await may_take_.Wait();
      const auto state = co_await boost::asio::this_coro::cancellation_state;
      if (state.cancelled() != boost::asio::cancellation_type::none) {
        co_return Fail(Code::kCancelled, "the client went away");
      }
    }
    if (keep_body_) body_.append(piece);
    body_bytes_ += piece.size();
    largest_piece_ = std::max(largest_piece_, piece.size());
    co_return Result<>{};
  }
  Awaitable<> End() override {
    complete_ = true;
    co_return Result<>{};
  }
  [[nodiscard]] bool answered() const override { return began_; }

 private:
  RequestHead head_;
  std::deque<std::string> pieces_;
  std::string current_;
  bool ended_ = false;
  std::optional<Error> body_error_;
  Event body_changed_;
  uint64_t limit_ = UINT64_MAX;
  uint64_t taken_ = 0;

  bool began_ = false;
  bool complete_ = false;
  bool keep_body_ = true;
  ResponseHead answer_;
  std::optional<uint64_t> announced_;
  std::string body_;
  uint64_t body_bytes_ = 0;
  size_t largest_piece_ = 0;
  size_t room_ = SIZE_MAX;
  Event may_take_;
};

}  // namespace hybridserve
