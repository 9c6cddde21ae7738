// LineBudget: how many lines a log takes a second. Who makes a process write must not be able to
// fill its log, or to make it wait for whoever reads that.
//
// Thread rule: one thread at a time.
#pragma once

#include <chrono>
#include <cstdint>

namespace hybridserve {

class LineBudget {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  /// What becomes of a line.
  enum class Verdict : uint8_t {
    kWrite,
    kSayLeftOut,  ///< Instead of it: that lines are left out. Once a second.
    kLeaveOut,
  };

  explicit LineBudget(uint32_t lines_per_second) : lines_per_second_(lines_per_second) {}

  /// Counts one line at `now`.
  [[nodiscard]] Verdict Next(TimePoint now) {
    if (now - second_ >= std::chrono::seconds(1)) {
      second_ = now;
      lines_ = 0;
    }
    if (lines_ > lines_per_second_) return Verdict::kLeaveOut;
    return ++lines_ <= lines_per_second_ ? Verdict::kWrite : Verdict::kSayLeftOut;
  }

 private:
  const uint32_t lines_per_second_;
  TimePoint second_{};  // When the present second of counting began.
  uint32_t lines_ = 0;  // Since then.
};

}  // namespace hybridserve
