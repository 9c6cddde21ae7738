// Tally: what became of each request of a load, by class. Every request is in exactly one.
//
// Thread rule: one thread at a time.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <string_view>
#include <vector>

namespace hybridserve::bench {

enum class Fate : uint8_t {
  kOk,            ///< 200 with the expected body.
  kWrongBody,     ///< 200 with another.
  kRejected,      ///< 429 or 503 with Retry-After.
  kNoRetryAfter,  ///< 429 or 503 without.
  kOtherStatus,   ///< Any other status.
  kRefused,       ///< No connection could be made.
  kBroken,        ///< The connection ended, or broke HTTP, before the answer was whole.
  kUnanswered,    ///< No answer within the timeout, or none of the allowed connections was free.
};
inline constexpr size_t kFates = 8;

/// "ok", "wrong_body", "rejected", ...
std::string_view FateName(Fate fate);

/// An answer's fate.
Fate FateOf(int status, bool has_retry_after, bool expected_body);

class Tally {
 public:
  /// A request that was due at `due` came to its end at `end`, both from the start of the run.
  void Add(Fate fate, std::chrono::nanoseconds due, std::chrono::nanoseconds end);

  /// Milliseconds from when each request was due to its end, one entry a request.
  [[nodiscard]] const std::vector<double>& latencies_ms(Fate fate) const {
    return latencies_ms_[static_cast<size_t>(fate)];
  }
  [[nodiscard]] uint64_t count(Fate fate) const { return latencies_ms(fate).size(); }
  [[nodiscard]] uint64_t total() const;
  /// Requests that ended as kOk in each second of the run; the last entry is the last with any.
  [[nodiscard]] const std::vector<uint64_t>& ok_by_second() const { return ok_by_second_; }
  /// Requests that ended as kOk at `run` or before.
  [[nodiscard]] uint64_t ok_within(std::chrono::nanoseconds run) const;

 private:
  std::array<std::vector<double>, kFates> latencies_ms_;
  std::vector<uint64_t> ok_by_second_;
  std::vector<std::chrono::nanoseconds> ok_ends_;
};

}  // namespace hybridserve::bench
