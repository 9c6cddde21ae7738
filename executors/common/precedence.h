// Precedence: guests that have used much CPU give way to those that have not.
//
// Problem: the guests of an executor are threads of one process, and the kernel gives each of them
// the same share. Beside 24 that spin on two cores a guest of 50 us waits for hundreds of times its
// own length.
//
// Idea: shortest first, without knowing lengths (a feedback queue of two levels): a guest that has
// used the CPU for kLong goes on with a low priority. A short one then runs as soon as it wakes,
// and the long ones share what is left; each always gets a little. A function whose last guest was
// long begins like that, so that a crowd of them is not let through first each time. A thread may
// lower its priority and never raise it again, so it ends after that guest, and a new one takes its
// place.
//
// A short guest pays a few atomic operations for it. A thread of ours looks at the others every
// 2 ms, only while more guests run than there are processors.
//
// Measured on two cores, a guest of 50 us asked for 100 times a second beside 24 that spin: its
// 99th percentile 12-40 ms without, 3-10 ms with it; 2.7 ms where nothing spins.
//
// Thread rule: Enter, Lowered, Begin, End and Replace on the worker's own thread.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "executors/common/watchdog.h"

namespace hybridserve {

class Precedence {
 public:
  /// By how much a long guest's nice value goes up: a 28th of the others' weight. Not lower: among
  /// as many others as an executor has threads it must still get to its end when it is interrupted.
  static constexpr int kLowerBy = 15;
  /// CPU time since it was first seen from which on a guest is long.
  static constexpr std::chrono::milliseconds kLong{2};

  /// One place for each of the watchdog's guards, which outlives this. `start` starts a thread for
  /// a place anew; what it throws makes it be called again later. With as many guests as
  /// `processors` none has to give way; 0: the processors that this process may use.
  Precedence(Watchdog& watchdog, uint32_t places, std::function<void(uint32_t)> start,
             uint32_t processors = 0);
  ~Precedence();
  Precedence(const Precedence&) = delete;
  Precedence& operator=(const Precedence&) = delete;

  /// The calling thread is the place's from now on.
  void Enter(uint32_t index);
  /// The place's thread has a low priority for good: it is to call Replace and to end.
  [[nodiscard]] bool Lowered(uint32_t index) const { return places_[index]->lowered.load(); }
  void Replace(uint32_t index);

  /// What is remembered of a function.
  class History {
   public:
    [[nodiscard]] bool long_last() const { return long_last_.load(std::memory_order_relaxed); }

   private:
    friend class Precedence;
    std::atomic<bool> long_last_{false};
  };
  /// Around each invocation: Begin after its guard's, End after its guard's.
  void Begin(uint32_t index, const History& history);
  void End(uint32_t index, History& history);

 private:
  struct Place {
    std::atomic<bool> lowered{false};
    std::atomic<int32_t> tid{0};  // 0: no thread has entered.
    std::atomic<clockid_t> cpu_clock{};
    // Its thread's alone: of a guest that began with a low priority.
    std::optional<std::chrono::nanoseconds> cpu_at_begin;
    // The looking thread's alone.
    uint64_t seen_id = 0;
    std::chrono::nanoseconds cpu_when_seen{};
  };

  void Wake();
  void Loop();
  void StartAnew(const std::vector<uint32_t>& places);
  void LookAt(Place& place, const Guard& guard) const;
  void Lower(Place& place, const Guard& guard, uint64_t id) const;
  void SetLow(const Place& place) const;

  Watchdog& watchdog_;
  std::function<void(uint32_t)> start_;
  uint32_t processors_;
  int low_nice_;
  std::vector<std::unique_ptr<Place>> places_;
  std::atomic<uint32_t> running_{0};
  std::atomic<bool> contended_{false};  // Since the last look.
  std::atomic<bool> asleep_{false};
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<uint32_t> to_replace_;  // Guarded by mutex_.
  bool stopping_ = false;             // Guarded by mutex_.
  std::thread thread_;
};

}  // namespace hybridserve
