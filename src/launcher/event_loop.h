// EventLoop: the launcher's only loop: descriptors by epoll, and timers.
//
// Thread rule: one thread. Callbacks may watch, forget and stop; a callback forgotten while it runs
// finishes its run.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <unordered_map>
#include <utility>

#include "base/result.h"
#include "base/unique_fd.h"

namespace hybridserve::launcher {

class EventLoop {
 public:
  using Clock = std::chrono::steady_clock;
  using OnReady = std::function<void()>;
  /// Identifies a timer; the default names none.
  using TimerId = std::pair<Clock::time_point, uint64_t>;

  enum class Interest : uint8_t { kRead, kWrite };

  static Result<std::unique_ptr<EventLoop>> Open();

  /// Calls `on_ready` whenever `fd` is readable (or writable), or its other end is gone. One watch
  /// a descriptor.
  Result<> Watch(int fd, Interest interest, OnReady on_ready);
  /// Ends the watch; call it before closing the descriptor. Unknown descriptors are ignored.
  void Forget(int fd);

  TimerId After(Clock::duration delay, std::function<void()> action);
  /// Does nothing when the timer has run.
  void Cancel(TimerId timer) { timers_.erase(timer); }

  /// Runs until Stop().
  void Run();
  void Stop() { stopped_ = true; }

 private:
  explicit EventLoop(UniqueFd epoll) : epoll_(std::move(epoll)) {}
  void RunTimers();
  [[nodiscard]] int MillisecondsToNextTimer() const;

  struct Watched {
    uint64_t serial;
    std::shared_ptr<OnReady> on_ready;  // Shared with a run under way.
  };

  UniqueFd epoll_;
  std::unordered_map<int, Watched> watched_;
  std::map<TimerId, std::function<void()>> timers_;
  uint64_t next_serial_ = 1;
  bool stopped_ = false;
};

}  // namespace hybridserve::launcher
