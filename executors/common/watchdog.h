// Watchdog: ends guests that pass their deadline or are cancelled.
//
// Each worker thread has one Guard and brackets each invocation with Begin and End. A guest in Wasm
// code is reached by `interrupt` (the engine's epoch): every running guest then looks at its own
// Guard and goes on or ends. A guest that sleeps in a host call waits on its Guard.
//
// One thread sleeps until the earliest deadline it knows of, so there are no periodic ticks: while
// no guest runs it sleeps for ever, and a Begin wakes it only when its deadline is earlier than all
// known ones. With equal timeouts that is once a timeout, not once an invocation.
//
// Thread rule: Cancel and a Guard's id and Check from any thread; its Begin, End and WaitUntil only
// from its worker.
#pragma once

#include <poll.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "base/unique_fd.h"

namespace hybridserve {

using SteadyClock = std::chrono::steady_clock;

/// Why a guest has to end.
enum class Stop : uint8_t { kNo, kDeadline, kCancelled };

class Watchdog;

class Guard {
 public:
  explicit Guard(Watchdog& watchdog) : watchdog_(watchdog) {}
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

  /// `id` is not 0 and never used again.
  void Begin(uint64_t id, SteadyClock::time_point deadline);
  void End();

  /// The invocation that runs; 0: none does.
  [[nodiscard]] uint64_t id() const { return id_.load(); }
  /// Whether the guest has to end now.
  [[nodiscard]] Stop Check() const;
  /// Sleeps until `when`, or until the guest has to end.
  Stop WaitUntil(SteadyClock::time_point when);
  /// Sleeps until one of `waited` is ready (poll(2), which fills in revents; 0 everywhere when none
  /// is), until `when`, or until the guest has to end. At most kMaxPolled; none is an error, too.
  Stop Poll(std::span<pollfd> waited, SteadyClock::time_point when);
  static constexpr size_t kMaxPolled = 64;

 private:
  friend class Watchdog;
  void Cancel(uint64_t id);

  Watchdog& watchdog_;
  std::atomic<uint64_t> id_{0};          // 0: nothing runs.
  std::atomic<int64_t> deadline_ns_{0};  // Of the steady clock.
  std::atomic<uint64_t> cancelled_{0};   // The id that is cancelled.
  std::mutex mutex_;                     // For sleeping only.
  std::condition_variable wake_;
  UniqueFd wake_event_;  // Made by the first Poll; guarded by mutex_ but for its worker.
};

class Watchdog {
 public:
  /// `interrupt` makes every running guest look at its Guard; called from any thread.
  Watchdog(uint32_t guards, std::function<void()> interrupt);
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  [[nodiscard]] Guard& guard(uint32_t index) { return *guards_[index]; }

  /// Ends the invocation, also when it has not begun yet. One that has ended is ignored.
  void Cancel(uint64_t id);

 private:
  friend class Guard;
  void Loop();
  void Arm(int64_t deadline_ns);
  bool TakeEarlyCancel(uint64_t id);
  void ForgetEarlyCancel(uint64_t id);

  // Cancellations whose invocation no guard has begun: the oldest are dropped beyond this.
  static constexpr size_t kMaxEarlyCancels = 256;

  std::function<void()> interrupt_;
  std::vector<std::unique_ptr<Guard>> guards_;
  std::atomic<int64_t> next_wake_ns_;
  std::atomic<size_t> early_count_{0};
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<uint64_t> early_cancels_;  // Guarded by mutex_.
  bool stopping_ = false;                // Guarded by mutex_.
  std::thread thread_;
};

}  // namespace hybridserve
