#include "client/statistics.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace hybridserve::bench {

Spread SpreadOf(std::vector<double> samples) {
  Spread spread;
  spread.count = samples.size();
  if (samples.empty()) return spread;
  std::sort(samples.begin(), samples.end());
  const auto rank = [&samples](double ratio) {
    const auto nth = static_cast<size_t>(std::ceil(ratio * static_cast<double>(samples.size())));
    return samples[std::max<size_t>(nth, 1) - 1];
  };
  spread.min = samples.front();
  spread.p10 = rank(0.10);
  spread.p50 = rank(0.50);
  spread.p90 = rank(0.90);
  spread.p99 = rank(0.99);
  spread.max = samples.back();
  spread.mean =
      std::accumulate(samples.begin(), samples.end(), 0.0) / static_cast<double>(samples.size());
  return spread;
}

}  // namespace hybridserve::bench
