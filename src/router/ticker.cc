#include "router/ticker.h"

#include <utility>

namespace hybridserve {

Ticker::Ticker(Clock& clock, std::function<Pause()> tick) : clock_(clock), tick_(std::move(tick)) {}

void Ticker::Start(std::chrono::milliseconds pause) {
  if (!std::exchange(running_, true)) Arm(pause);
}

void Ticker::Arm(std::chrono::milliseconds pause) {
  next_ = clock_.At(clock_.Now() + pause, [this] {
    const Pause next = tick_();
    running_ = next.has_value();
    if (next) Arm(*next);
  });
}

}  // namespace hybridserve
