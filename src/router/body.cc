#include "router/body.h"

namespace hybridserve {
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

}  // namespace

Awaitable<> CollectBody(Exchange& exchange, CollectedBody& body) {
  const RequestHead& head = exchange.head();
  if (!head.has_body) co_return Result<>();
  const uint64_t announced = head.content_length.value_or(0);
  if (announced > body.budget.limit_bytes()) co_return NoRoom(body.budget, announced);
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
    if (head.content_length) body.storage.reserve(*head.content_length);
    body.storage.append(*piece);
  }
  body.bytes = body.storage;
  co_return Result<>();
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
