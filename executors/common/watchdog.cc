#include "executors/common/watchdog.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>

namespace hybridserve {
namespace {

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();
// How soon an overdue guest is interrupted again, should it have missed the first time.
constexpr int64_t kRetryNs = 5'000'000;

int64_t ToNs(SteadyClock::time_point when) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(when.time_since_epoch()).count();
}

SteadyClock::time_point FromNs(int64_t ns) {
  return SteadyClock::time_point(std::chrono::nanoseconds(ns));
}

timespec ToTimespec(std::chrono::nanoseconds time) {
  const auto ns = std::max<int64_t>(time.count(), 0);
  return {.tv_sec = ns / 1'000'000'000, .tv_nsec = ns % 1'000'000'000};
}

}  // namespace

void Guard::Begin(uint64_t id, SteadyClock::time_point deadline) {
  const int64_t deadline_ns = ToNs(deadline);
  deadline_ns_.store(deadline_ns);
  id_.store(id);
  if (watchdog_.early_count_.load() != 0 && watchdog_.TakeEarlyCancel(id)) cancelled_.store(id);
  if (deadline_ns < watchdog_.next_wake_ns_.load()) watchdog_.Arm(deadline_ns);
}

void Guard::End() {
  const uint64_t id = id_.exchange(0);
  if (watchdog_.early_count_.load() != 0) watchdog_.ForgetEarlyCancel(id);
}

Stop Guard::Check() const {
  if (cancelled_.load() == id_.load()) return Stop::kCancelled;
  return ToNs(SteadyClock::now()) >= deadline_ns_.load() ? Stop::kDeadline : Stop::kNo;
}

Stop Guard::WaitUntil(SteadyClock::time_point when) {
  const SteadyClock::time_point deadline = FromNs(deadline_ns_.load());
  const uint64_t id = id_.load();
  std::unique_lock lock(mutex_);
  wake_.wait_until(lock, std::min(when, deadline), [this, id] { return cancelled_.load() == id; });
  lock.unlock();
  return Check();
}

Stop Guard::Poll(std::span<pollfd> waited, SteadyClock::time_point when) {
  if (!wake_event_) {
    UniqueFd made(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    const std::lock_guard lock(mutex_);
    wake_event_ = std::move(made);
  }
  std::array<pollfd, kMaxPolled + 1> polled;
  const size_t count = std::min(waited.size(), kMaxPolled);
  std::copy_n(waited.begin(), count, polled.begin());
  polled[count] = {wake_event_.get(), POLLIN, 0};
  for (;;) {
    // A cancellation before this is seen here, one after it makes the event readable.
    if (const Stop stop = Check(); stop != Stop::kNo) return stop;
    const auto until = std::min(when, FromNs(deadline_ns_.load()));
    const timespec left = ToTimespec(until - SteadyClock::now());
    const int ready = ::ppoll(polled.data(), count + 1, &left, nullptr);
    if (ready > 0 && polled[count].revents != 0) {
      // Of this invocation, or a late one of the last.
      uint64_t events = 0;
      (void)!::read(wake_event_.get(), &events, sizeof events);
      continue;
    }
    if (ready < 0 && errno == EINTR) continue;
    for (size_t i = 0; i < count; ++i) {
      waited[i].revents = ready > 0 ? polled[i].revents : int16_t{0};
    }
    if (ready > 0 || SteadyClock::now() >= when) return Check();
  }
}

void Guard::Cancel(uint64_t id) {
  {
    const std::lock_guard lock(mutex_);
    cancelled_.store(id);
    constexpr uint64_t kOne = 1;
    if (wake_event_) (void)!::write(wake_event_.get(), &kOne, sizeof kOne);
  }
  wake_.notify_all();
}

Watchdog::Watchdog(uint32_t guards, std::function<void()> interrupt)
    : interrupt_(std::move(interrupt)), next_wake_ns_(kNever) {
  guards_.reserve(guards);
  for (uint32_t i = 0; i < guards; ++i) guards_.push_back(std::make_unique<Guard>(*this));
  thread_ = std::thread([this] { Loop(); });
}

Watchdog::~Watchdog() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Watchdog::Arm(int64_t deadline_ns) {
  {
    const std::lock_guard lock(mutex_);
    if (deadline_ns >= next_wake_ns_.load()) return;
    next_wake_ns_.store(deadline_ns);
  }
  changed_.notify_all();
}

void Watchdog::Loop() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const int64_t wake = next_wake_ns_.load();
    if (wake == kNever) {
      changed_.wait(lock);
      continue;
    }
    if (ToNs(SteadyClock::now()) < wake) {
      changed_.wait_until(lock, FromNs(wake));
      continue;
    }
    // A deadline that a Begin stores from here on arms anew, whatever the scan below sees: this
    // store comes before the scan, and Begin stores its deadline before it reads this.
    next_wake_ns_.store(kNever);
    const int64_t now = ToNs(SteadyClock::now());
    int64_t next = kNever;
    bool overdue = false;
    for (const auto& guard : guards_) {
      if (guard->id_.load() == 0) continue;
      const int64_t deadline = guard->deadline_ns_.load();
      if (deadline <= now) overdue = true;
      next = std::min(next, deadline <= now ? now + kRetryNs : deadline);
    }
    if (next < next_wake_ns_.load()) next_wake_ns_.store(next);
    if (!overdue) continue;
    lock.unlock();
    interrupt_();
    lock.lock();
  }
}

void Watchdog::Cancel(uint64_t id) {
  {
    // Noted before the guards are looked at: a Begin that this misses finds the note.
    const std::lock_guard lock(mutex_);
    if (early_cancels_.size() == kMaxEarlyCancels) early_cancels_.erase(early_cancels_.begin());
    early_cancels_.push_back(id);
    early_count_.store(early_cancels_.size());
  }
  for (const auto& guard : guards_) {
    if (guard->id_.load() != id) continue;
    guard->Cancel(id);
    interrupt_();
    return;
  }
}

bool Watchdog::TakeEarlyCancel(uint64_t id) {
  const std::lock_guard lock(mutex_);
  const auto found = std::find(early_cancels_.begin(), early_cancels_.end(), id);
  if (found == early_cancels_.end()) return false;
  early_cancels_.erase(found);
  early_count_.store(early_cancels_.size());
  return true;
}

void Watchdog::ForgetEarlyCancel(uint64_t id) { (void)TakeEarlyCancel(id); }

}  // namespace hybridserve
