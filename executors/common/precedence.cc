#include "executors/common/precedence.h"

#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <system_error>
#include <utility>

namespace hybridserve {
namespace {

constexpr std::chrono::milliseconds kTick{2};
// Ticks without more guests than processors, after which nobody looks any more.
constexpr int kQuietTicks = 100;
constexpr int kLowestNice = 19;

uint32_t OwnProcessors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof(set), &set) != 0) return 1;
  return static_cast<uint32_t>(CPU_COUNT(&set));
}

std::chrono::nanoseconds CpuTime(clockid_t thread) {
  timespec used{};
  (void)::clock_gettime(thread, &used);
  return std::chrono::seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
}

}  // namespace

Precedence::Precedence(Watchdog& watchdog, uint32_t places, std::function<void(uint32_t)> start,
                       uint32_t processors)
    : watchdog_(watchdog),
      start_(std::move(start)),
      processors_(processors != 0 ? processors : OwnProcessors()),
      low_nice_(std::min(kLowestNice, ::getpriority(PRIO_PROCESS, 0) + kLowerBy)) {
  places_.reserve(places);
  for (uint32_t i = 0; i < places; ++i) places_.push_back(std::make_unique<Place>());
  thread_ = std::thread([this] { Loop(); });
}

Precedence::~Precedence() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Precedence::Enter(uint32_t index) {
  Place& place = *places_[index];
  place.lowered.store(false);
  place.cpu_at_begin.reset();
  clockid_t clock{};
  if (::pthread_getcpuclockid(::pthread_self(), &clock) != 0) return;
  place.cpu_clock.store(clock);
  place.tid.store(::gettid());
}

void Precedence::Replace(uint32_t index) {
  {
    const std::lock_guard lock(mutex_);
    places_[index]->tid.store(0);
    to_replace_.push_back(index);
  }
  changed_.notify_all();
}

void Precedence::Begin(uint32_t index, const History& history) {
  if (running_.fetch_add(1) < processors_) return;
  if (history.long_last()) {
    Place& place = *places_[index];
    place.lowered.store(true);
    place.cpu_at_begin = CpuTime(place.cpu_clock.load());
    SetLow(place);
  }
  if (!contended_.load(std::memory_order_relaxed)) contended_.store(true);
  if (asleep_.load()) Wake();
}

void Precedence::End(uint32_t index, History& history) {
  running_.fetch_sub(1);
  const Place& place = *places_[index];
  if (!place.lowered.load()) return;
  const auto& began = place.cpu_at_begin;
  history.long_last_.store(!began || CpuTime(place.cpu_clock.load()) - *began >= kLong);
}

void Precedence::Wake() {
  {
    const std::lock_guard lock(mutex_);
    asleep_.store(false);
  }
  changed_.notify_all();
}

void Precedence::Loop() {
  const auto has_work = [this] { return stopping_ || !to_replace_.empty(); };
  int quiet = 0;
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (quiet >= kQuietTicks && to_replace_.empty()) {
      // A Begin that does not see this has set `contended_` before.
      asleep_.store(true);
      changed_.wait(lock, [&] { return has_work() || contended_.load() || !asleep_.load(); });
      asleep_.store(false);
    } else {
      changed_.wait_for(lock, kTick, has_work);
    }
    quiet = contended_.exchange(false) || running_.load() > processors_ ? 0 : quiet + 1;
    const std::vector<uint32_t> replace = std::exchange(to_replace_, {});
    lock.unlock();
    StartAnew(replace);
    for (size_t i = 0; i < places_.size(); ++i) {
      if (places_[i]->tid.load() == 0) continue;
      LookAt(*places_[i], watchdog_.guard(static_cast<uint32_t>(i)));
    }
    lock.lock();
  }
}

void Precedence::StartAnew(const std::vector<uint32_t>& places) {
  for (const uint32_t index : places) {
    try {
      start_(index);
    } catch (const std::system_error&) {
      std::this_thread::sleep_for(kTick);
      Replace(index);
    }
  }
}

void Precedence::LookAt(Place& place, const Guard& guard) const {
  const uint64_t id = guard.id();
  if (id == 0 || place.lowered.load()) return;
  const std::chrono::nanoseconds cpu = CpuTime(place.cpu_clock.load());
  if (place.seen_id != id) {
    place.seen_id = id;
    place.cpu_when_seen = cpu;
  } else if (cpu - place.cpu_when_seen >= kLong) {
    Lower(place, guard, id);
  }
}

void Precedence::Lower(Place& place, const Guard& guard, uint64_t id) const {
  // Either this sees that the guest has ended, or its thread sees `lowered` before the next one.
  place.lowered.store(true);
  if (guard.id() == id) {
    SetLow(place);
  } else {
    place.lowered.store(false);
  }
}

void Precedence::SetLow(const Place& place) const {
  (void)::setpriority(PRIO_PROCESS, static_cast<id_t>(place.tid.load()), low_nice_);
}

}  // namespace hybridserve
