#include "router/body.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstring>

namespace hybridserve {

namespace asio = boost::asio;

namespace {

tl::unexpected<Error> NoRoom(const BodyBudget& budget, uint64_t bytes) {
  if (bytes > budget.limit_bytes()) {
    return Fail(Code::kTooLarge, "the body has " + std::to_string(bytes) +
                                     " bytes; this node keeps at most " +
                                     std::to_string(budget.limit_bytes()) + " for Wasm");
  }
  return Fail(Code::kUnavailable, "this node holds as many request bodies as it has room for (" +
                                      std::to_string(budget.limit_bytes()) +
                                      " bytes); try again later");
}

constexpr size_t kFirstRoomBytes = 256 * 1024;

// Given back to the kernel at a stretch: well under a millisecond.
constexpr size_t kDroppedBytes = 1u << 20;

// Bodies that arrive at the same speed pass the limit at the same moment: to give all of their
// memory back at once would hold the event loop.
asio::awaitable<void> DropSlowly(GrowingBytes& bytes) {
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  while (!bytes.empty()) {
    bytes.DropLast(std::min(bytes.size(), kDroppedBytes));
    co_await asio::post(executor, asio::use_awaitable);
  }
}

Awaitable<> CollectPieces(Exchange& exchange, CollectedBody& body) {
  const RequestHead& head = exchange.head();
  while (true) {
    Result<std::string_view> piece = co_await exchange.ReadBody();
    if (!piece) co_return tl::unexpected(std::move(piece.error()));
    if (piece->empty()) break;
    if (head.content_length && piece->size() == *head.content_length) {
      body.bytes = *piece;  // The view holds, since nothing is left to read.
      co_return Result<>();
    }
    // Claimed as it arrives: who only announces a large body holds nothing.
    if (!body.claim.Grow(piece->size())) {
      co_return NoRoom(body.budget, body.storage.size() + piece->size());
    }
    CO_TRY(body.storage.Append(*piece));
  }
  body.bytes = body.storage.view();
  co_return Result<>();
}

}  // namespace

GrowingBytes::~GrowingBytes() {
  if (memory_ != nullptr) ::munmap(memory_, capacity_);
}

Result<> GrowingBytes::Append(std::string_view piece) {
  if (piece.size() > capacity_ - size_) TRY(MakeRoom(piece.size()));
  std::memcpy(memory_ + size_, piece.data(), piece.size());
  size_ += piece.size();
  return {};
}

// Room that nothing was written to takes no memory.
Result<> GrowingBytes::MakeRoom(size_t bytes) {
  const size_t wanted = std::max({size_ + bytes, capacity_ * 2, kFirstRoomBytes});
  void* room = memory_ == nullptr ? ::mmap(nullptr, wanted, PROT_READ | PROT_WRITE,
                                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
                                  : ::mremap(memory_, capacity_, wanted, MREMAP_MAYMOVE);
  if (room == MAP_FAILED) return FailErrno("hold a request's body");
  memory_ = static_cast<char*>(room);
  capacity_ = wanted;
  return {};
}

void GrowingBytes::DropLast(size_t bytes) {
  size_ -= bytes;
  const auto page = static_cast<size_t>(::getpagesize());
  const size_t kept = std::max((size_ + page - 1) / page * page, page);
  if (kept >= capacity_ || ::mremap(memory_, capacity_, kept, 0) == MAP_FAILED) return;
  capacity_ = kept;
}

Awaitable<> CollectBody(Exchange& exchange, CollectedBody& body) {
  const RequestHead& head = exchange.head();
  if (!head.has_body) co_return Result<>();
  const uint64_t announced = head.content_length.value_or(0);
  if (announced > body.budget.limit_bytes()) co_return NoRoom(body.budget, announced);
  Result<> collected = co_await CollectPieces(exchange, body);
  if (!collected) co_await DropSlowly(body.storage);
  co_return collected;
}

Awaitable<std::string_view> CollectedExchange::ReadBody() {
  co_return std::exchange(rest_, std::string_view());
}

bool ReplayableExchange::Rewind() {
  if (!complete_ || rewound_) return false;
  rewound_ = true;
  rest_ = kept_;
  return true;
}

Awaitable<std::string_view> ReplayableExchange::ReadBody() {
  if (!rest_.empty()) co_return std::exchange(rest_, std::string_view());
  Result<std::string_view> piece = co_await inner().ReadBody();
  if (!rewound_) Keep(piece);
  co_return piece;
}

void ReplayableExchange::Keep(const Result<std::string_view>& piece) {
  if (!complete_) return;
  complete_ = piece && piece->size() <= kMaxKeptBytes - kept_.size() && claim_.Grow(piece->size());
  if (complete_) {
    kept_.append(*piece);
  } else {
    std::string().swap(kept_);
  }
}

}  // namespace hybridserve
