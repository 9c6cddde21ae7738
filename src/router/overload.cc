#include "router/overload.h"

namespace hybridserve {

void ServiceTime::Add(Microseconds held) {
  average_ = known_ ? average_ + (held - average_) / kWeight : held;
  known_ = true;
}

Microseconds ExpectedWait(uint32_t waiting, uint32_t busy, Microseconds service) {
  return busy == 0 ? Microseconds{} : service * waiting / busy;
}

}  // namespace hybridserve
