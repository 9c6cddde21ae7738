// Schedule: when the requests of an open loop arrive. Arrivals do not depend on answers: a server
// that is slow gets the next request all the same.
//
// Thread rule: one thread at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <random>

namespace hybridserve::bench {

enum class Arrivals : uint8_t {
  kUniform,  ///< One every 1/rate seconds.
  kPoisson,  ///< Gaps are exponential with the mean 1/rate: arrivals bunch as those of many users.
};

class Schedule {
 public:
  /// `rate_per_second` is above 0. The same seed gives the same arrivals.
  Schedule(Arrivals arrivals, double rate_per_second, uint64_t seed)
      : arrivals_(arrivals), rate_per_second_(rate_per_second), random_(seed) {}

  /// The next arrival, from the start of the run; never before the one that came last.
  std::chrono::nanoseconds Next();

 private:
  Arrivals arrivals_;
  double rate_per_second_;
  std::mt19937_64 random_;
  uint64_t given_ = 0;
  double at_seconds_ = 0;
};

}  // namespace hybridserve::bench
