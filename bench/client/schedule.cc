#include "client/schedule.h"

#include <cmath>

namespace hybridserve::bench {

std::chrono::nanoseconds Schedule::Next() {
  ++given_;
  if (arrivals_ == Arrivals::kUniform) {
    at_seconds_ = static_cast<double>(given_) / rate_per_second_;
  } else {
    // In (0, 1]: the logarithm of 0 has no value.
    const double share = (static_cast<double>(random_() >> 11) + 1) * 0x1p-53;
    at_seconds_ -= std::log(share) / rate_per_second_;
  }
  return std::chrono::nanoseconds(std::llround(at_seconds_ * 1e9));
}

}  // namespace hybridserve::bench
