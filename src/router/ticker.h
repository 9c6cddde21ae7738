// Ticker: calls a function now and then while there is something to look after, in place of a timer
// for each thing. An idle node has no ticker running.
//
// Thread rule: the event loop's thread only.
#pragma once

#include <chrono>
#include <functional>
#include <optional>

#include "container/clock.h"

namespace hybridserve {

class Ticker {
 public:
  /// How long until the next call; nullopt: there is nothing left to look after.
  using Pause = std::optional<std::chrono::milliseconds>;

  /// `tick` is called from Start on, until it returns nullopt or the ticker is destroyed. `clock`
  /// outlives the ticker.
  Ticker(Clock& clock, std::function<Pause()> tick);
  Ticker(const Ticker&) = delete;
  Ticker& operator=(const Ticker&) = delete;

  /// The first call comes after `pause`. Nothing happens when it runs already.
  void Start(std::chrono::milliseconds pause);

 private:
  void Arm(std::chrono::milliseconds pause);

  Clock& clock_;
  std::function<Pause()> tick_;
  bool running_ = false;
  Clock::Ticket next_;
};

}  // namespace hybridserve
