// KeepValue: which idle container a node that is out of room misses least.
//
// GreedyDual-Size-Frequency (Cherkasova, "Improving WWW Proxies Performance with
// Greedy-Dual-Size-Frequency Caching Policy", HP Labs 1998), as Fuerst and Sharma use it for
// containers ("FaasCache", ASPLOS 2021): what a start costs, times how often the function is asked
// for, per byte that keeping it takes. The least valuable goes first, and its value becomes the
// floor of all later ones, so that what is not used any more ages.
//
// Thread rule: a pure function.
#pragma once

#include <cstdint>

#include "function/invocation.h"

namespace hybridserve {

/// `floor`: the value of the last container that went for want of room. `uses`: requests of the
/// function since it has containers. `boot_time`: of one start. `memory_bytes`: its limit.
constexpr double KeepValue(double floor, uint64_t uses, Microseconds boot_time,
                           uint64_t memory_bytes) {
  constexpr double kMiB = 1 << 20;
  const double size = memory_bytes == 0 ? 1 : static_cast<double>(memory_bytes) / kMiB;
  return floor + static_cast<double>(uses) * static_cast<double>(boot_time.count()) / size;
}

}  // namespace hybridserve
