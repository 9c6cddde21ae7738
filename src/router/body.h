// CollectBody: a request's whole body in memory, for Wasm; and what is kept of one that streams, so
// that it can be sent again. Bodies that are held at the same time share one budget, so that many
// large uploads cannot exhaust the node's memory.
//
// Thread rule: the event loop's thread only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/awaitable.h"
#include "base/result.h"
#include "function/exchange.h"

namespace hybridserve {

/// The bytes that collected bodies may hold together.
class BodyBudget {
 public:
  explicit BodyBudget(uint64_t limit_bytes) : limit_bytes_(limit_bytes) {}

  /// Bytes taken from the budget; given back by the destructor.
  class Claim {
   public:
    explicit Claim(BodyBudget& budget) : budget_(&budget) {}
    Claim(Claim&& other) noexcept
        : budget_(other.budget_), bytes_(std::exchange(other.bytes_, 0)) {}
    Claim& operator=(Claim&&) = delete;
    ~Claim() { budget_->used_bytes_ -= bytes_; }
    /// False when the budget has no `bytes` more.
    [[nodiscard]] bool Grow(uint64_t bytes) {
      if (bytes > budget_->limit_bytes_ - budget_->used_bytes_) return false;
      budget_->used_bytes_ += bytes;
      bytes_ += bytes;
      return true;
    }

   private:
    BodyBudget* budget_;
    uint64_t bytes_ = 0;
  };

  [[nodiscard]] uint64_t used_bytes() const { return used_bytes_; }
  [[nodiscard]] uint64_t limit_bytes() const { return limit_bytes_; }

 private:
  uint64_t limit_bytes_;
  uint64_t used_bytes_ = 0;
};

/// Bytes in memory that grow without being copied: the kernel moves their pages. A string that is
/// copied to a larger place holds the event loop for milliseconds, and bodies that arrive at the
/// same speed do so at the same moment.
class GrowingBytes {
 public:
  GrowingBytes() = default;
  GrowingBytes(const GrowingBytes&) = delete;
  GrowingBytes& operator=(const GrowingBytes&) = delete;
  ~GrowingBytes();

  /// Errors: kInternal or the like, there is no memory; what is held stays.
  Result<> Append(std::string_view piece);
  /// Gives the last `bytes` back, and their memory to the kernel. At most size().
  void DropLast(size_t bytes);
  [[nodiscard]] size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  /// Holds until the next Append.
  [[nodiscard]] std::string_view view() const { return {memory_, size_}; }

 private:
  Result<> MakeRoom(size_t bytes);

  char* memory_ = nullptr;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

struct CollectedBody {
  explicit CollectedBody(BodyBudget& shared_budget) : budget(shared_budget), claim(shared_budget) {}
  /// The body; a body that arrived whole with the head is a view into the exchange's own buffer.
  std::string_view bytes;
  GrowingBytes storage;
  BodyBudget& budget;
  BodyBudget::Claim claim;
};

/// Reads the body into `body`, which stays where it is. The exchange bounds its size (LimitBody).
///
/// Errors: those of Exchange::ReadBody; kTooLarge it could never fit into the budget; kUnavailable
/// the budget is used up now.
Awaitable<> CollectBody(Exchange& exchange, CollectedBody& body);

/// The request of `inner`, whose body is read in another way; the answer goes to `inner`.
class WrappedExchange : public Exchange {
 public:
  explicit WrappedExchange(Exchange& inner) : inner_(inner) {}

  [[nodiscard]] const RequestHead& head() const override { return inner_.head(); }
  void Annotate(const ServedBy& served_by) override { inner_.Annotate(served_by); }
  Awaitable<> Send(ResponseHead head, std::string_view body) override {
    return inner_.Send(std::move(head), body);
  }
  Awaitable<> Begin(ResponseHead head, std::optional<uint64_t> content_length) override {
    return inner_.Begin(std::move(head), content_length);
  }
  Awaitable<> Write(std::string_view piece) override { return inner_.Write(piece); }
  Awaitable<> End() override { return inner_.End(); }
  [[nodiscard]] bool answered() const override { return inner_.answered(); }

 protected:
  [[nodiscard]] Exchange& inner() const { return inner_; }

 private:
  Exchange& inner_;
};

/// A body that was already collected.
class CollectedExchange : public WrappedExchange {
 public:
  CollectedExchange(Exchange& inner, std::string_view body) : WrappedExchange(inner), rest_(body) {}

  Awaitable<std::string_view> ReadBody() override;
  void LimitBody(uint64_t /*bytes*/) override {}  // It was limited when it was collected.

 private:
  std::string_view rest_;
};

/// A body that streams, with a copy of its first bytes: while there is no more of it than they, all
/// of it can be read once more.
class ReplayableExchange : public WrappedExchange {
 public:
  static constexpr uint64_t kMaxKeptBytes = 64 * 1024;

  ReplayableExchange(Exchange& inner, BodyBudget& budget)
      : WrappedExchange(inner), claim_(budget) {}

  /// From now on the body is read from its beginning. False: more than what is kept was read, or
  /// reading it failed.
  [[nodiscard]] bool Rewind();

  Awaitable<std::string_view> ReadBody() override;
  void LimitBody(uint64_t bytes) override { inner().LimitBody(bytes); }

 private:
  void Keep(const Result<std::string_view>& piece);

  BodyBudget::Claim claim_;
  std::string kept_;
  bool complete_ = true;  // kept_ is all that was read.
  bool rewound_ = false;
  std::string_view rest_;  // Of kept_, after a rewind.
};

}  // namespace hybridserve
