// Receivers: which of an executor's threads wait for the next invocation.
//
// Problem: the kernel wakes threads that wait on one socket in turn, the one that has waited longest
// first. With 32 of them each request meets a thread whose stack, buffers and instance slot have
// left the caches long ago, and whose pages the processor has to look up anew.
//
// Idea: only a few wait on the socket, the others are parked, the last one parked on top. Whoever
// takes an invocation sees to it that somebody still waits, and whoever finds enough waiting when
// it is done parks itself. So an executor uses as many threads as run guests at the same time, and
// one or two more.
//
// Measured on two cores: 32 invocations in flight 78,000 a second without, 90,000-97,000 with it
// (docs/decisions/0004-wasm-executor.md).
//
// Thread rule: any thread.
#pragma once

#include <cstddef>
#include <mutex>
#include <semaphore>
#include <vector>

namespace hybridserve {

class Receivers {
 public:
  /// One thread's place to sleep.
  class Place {
   public:
    Place() = default;
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

   private:
    friend class Receivers;
    std::binary_semaphore wake_{0};
  };

  /// Returns when the thread is to receive: at once while fewer than kMostWaiting do.
  void Enter(Place& place);
  /// The thread has received something and will be busy.
  void Leave();

 private:
  // With one alone, each invocation would have to wake another thread before it runs.
  static constexpr size_t kMostWaiting = 2;

  std::mutex mutex_;
  size_t waiting_ = 0;          // Guarded by mutex_, as is the next.
  std::vector<Place*> parked_;  // The last one is woken first.
};

}  // namespace hybridserve
