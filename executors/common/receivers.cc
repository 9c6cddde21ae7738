#include "executors/common/receivers.h"

namespace hybridserve {

void Receivers::Enter(Place& place) {
  {
    const std::lock_guard lock(mutex_);
    if (waiting_ < kMostWaiting) {
      ++waiting_;
      return;
    }
    parked_.push_back(&place);
  }
  place.wake_.acquire();
}

void Receivers::Leave() {
  Place* next = nullptr;
  {
    const std::lock_guard lock(mutex_);
    if (--waiting_ > 0 || parked_.empty()) return;
    next = parked_.back();
    parked_.pop_back();
    ++waiting_;
  }
  next->wake_.release();
}

}  // namespace hybridserve
