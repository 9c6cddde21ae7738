// Statistics: the spread of a list of samples.
//
// Thread rule: pure functions over plain values.
#pragma once

#include <cstddef>
#include <vector>

namespace hybridserve::bench {

/// Percentiles by nearest rank: each is one of the samples. All in the samples' unit.
struct Spread {
  size_t count = 0;
  double min = 0;
  double p10 = 0;
  double p50 = 0;
  double p90 = 0;
  double p99 = 0;
  double max = 0;
  double mean = 0;
};

/// All zero when there are no samples.
Spread SpreadOf(std::vector<double> samples);

}  // namespace hybridserve::bench
