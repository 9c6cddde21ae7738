// RunningGuests: the guests that run now, and the thread that ends those that have to.
//
// Wasmer's interrupt is a signal, which counts only in the guest's own code
// (shim/src/interrupt.rs). So a guest is interrupted again until it has ended.
//
// Thread rule: any thread. A Guest is added before its guard is looked at, so that an interrupt
// that came before is seen there, and a later one here.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "executors/common/watchdog.h"
#include "executors/wasmer/shim.h"

namespace hybridserve {

class RunningGuests {
 public:
  RunningGuests() = default;
  ~RunningGuests();
  RunningGuests(const RunningGuests&) = delete;
  RunningGuests& operator=(const RunningGuests&) = delete;

  /// Starts the thread, unless it runs. Not before the jail is closed (sandbox/lockdown.h).
  void Start();
  /// Ends soon every guest whose guard says so.
  void Interrupt();

  /// While it lives, its store's guest counts as running.
  class Guest {
   public:
    Guest(RunningGuests& guests, const hybridserve_wasmer_store* store, const Guard& guard);
    ~Guest();
    Guest(const Guest&) = delete;
    Guest& operator=(const Guest&) = delete;

   private:
    friend class RunningGuests;
    RunningGuests& guests_;
    const hybridserve_wasmer_store* store_;
    const Guard& guard_;
    size_t place_ = 0;  // In guests_; guarded by its mutex.
  };

 private:
  void Loop();
  bool InterruptOverdue();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Guest*> guests_;  // Guarded by mutex_, as all below.
  bool asked_ = false;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace hybridserve
