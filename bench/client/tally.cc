#include "client/tally.h"

#include <algorithm>

namespace hybridserve::bench {

std::string_view FateName(Fate fate) {
  constexpr std::array<std::string_view, kFates> kNames = {
      "ok",           "wrong_body", "rejected", "no_retry_after",
      "other_status", "refused",    "broken",   "unanswered"};
  return kNames[static_cast<size_t>(fate)];
}

Fate FateOf(int status, bool has_retry_after, bool expected_body) {
  if (status == 200) return expected_body ? Fate::kOk : Fate::kWrongBody;
  if (status != 429 && status != 503) return Fate::kOtherStatus;
  return has_retry_after ? Fate::kRejected : Fate::kNoRetryAfter;
}

void Tally::Add(Fate fate, std::chrono::nanoseconds due, std::chrono::nanoseconds end) {
  using Milliseconds = std::chrono::duration<double, std::milli>;
  latencies_ms_[static_cast<size_t>(fate)].push_back(Milliseconds(end - due).count());
  if (fate != Fate::kOk) return;
  const auto second =
      static_cast<size_t>(std::chrono::duration_cast<std::chrono::seconds>(end).count());
  if (second >= ok_by_second_.size()) ok_by_second_.resize(second + 1);
  ++ok_by_second_[second];
  ok_ends_.push_back(end);
}

uint64_t Tally::total() const {
  uint64_t total = 0;
  for (const std::vector<double>& latencies : latencies_ms_) total += latencies.size();
  return total;
}

uint64_t Tally::ok_within(std::chrono::nanoseconds run) const {
  return static_cast<uint64_t>(
      std::count_if(ok_ends_.begin(), ok_ends_.end(), [run](auto end) { return end <= run; }));
}

}  // namespace hybridserve::bench
