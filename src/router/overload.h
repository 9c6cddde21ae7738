// Overload: whether a request would wait longer than it may. It is told so at once then, while its
// client can still go elsewhere.
//
// The decision is a pure function; the router keeps the averages and acts on the answer.
//
// Thread rule: ServiceTime one thread; ExpectedWait any.
#pragma once

#include <cstdint>

#include "function/invocation.h"

namespace hybridserve {

/// For how long one function's requests held a slot lately: a moving average, an eighth for the
/// newest.
class ServiceTime {
 public:
  void Add(Microseconds held);
  /// 0: nothing is known yet.
  [[nodiscard]] Microseconds average() const { return average_; }

 private:
  static constexpr int kWeight = 8;
  Microseconds average_{};
  bool known_ = false;
};

/// How long those who wait already will take, when `busy` slots work them off: 0 when none waits,
/// none works or nothing is known.
[[nodiscard]] Microseconds ExpectedWait(uint32_t waiting, uint32_t busy, Microseconds service);

}  // namespace hybridserve
