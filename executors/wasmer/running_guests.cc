#include "executors/wasmer/running_guests.h"

#include <chrono>

namespace hybridserve {
namespace {

// How soon a guest that has to end, and has not, is interrupted again.
constexpr std::chrono::milliseconds kRetry{1};

}  // namespace

RunningGuests::Guest::Guest(RunningGuests& guests, const hybridserve_wasmer_store* store,
                            const Guard& guard)
    : guests_(guests), store_(store), guard_(guard) {
  const std::lock_guard lock(guests_.mutex_);
  place_ = guests_.guests_.size();
  guests_.guests_.push_back(this);
}

RunningGuests::Guest::~Guest() {
  const std::lock_guard lock(guests_.mutex_);
  Guest* last = guests_.guests_.back();
  guests_.guests_[place_] = last;
  last->place_ = place_;
  guests_.guests_.pop_back();
}

RunningGuests::~RunningGuests() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void RunningGuests::Start() {
  const std::lock_guard lock(mutex_);
  if (!thread_.joinable()) thread_ = std::thread([this] { Loop(); });
}

void RunningGuests::Interrupt() {
  {
    const std::lock_guard lock(mutex_);
    asked_ = true;
  }
  changed_.notify_all();
}

bool RunningGuests::InterruptOverdue() {
  bool any = false;
  for (const Guest* guest : guests_) {
    if (guest->guard_.Check() == Stop::kNo) continue;
    hybridserve_wasmer_store_interrupt(guest->store_);
    any = true;
  }
  return any;
}

void RunningGuests::Loop() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    changed_.wait(lock, [this] { return asked_ || stopping_; });
    asked_ = false;
    while (!stopping_ && InterruptOverdue()) changed_.wait_for(lock, kRetry);
  }
}

}  // namespace hybridserve
