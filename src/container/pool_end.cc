// Ends of containers: expiry, retirement, death; and how much memory the living ones use.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "container/pool_state.h"

namespace hybridserve {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

constexpr uint32_t kDestroysAtOnce = 2;
constexpr int kDestroyTries = 3;
constexpr auto kDestroyPause = 100ms;
// Containers that expire this soon after each other go together.
constexpr auto kSweepGrain = 10ms;
constexpr auto kMeasureEvery = 2s;

}  // namespace

void WarmPool::Impl::End(const PoolContainerPtr& container) {
  if (container->state == ContainerState::kEnding) return;
  if (container->booting) {
    container->abandoned = true;  // Boot ends it
    container->changed.Set();
    return;
  }
  std::erase(container->set->containers, container);
  container->set = nullptr;
  --live;
  live_memory -= container->MemoryLimit();
  if (live == 0) {
    sweep.Cancel();
    sweep_at = Clock::TimePoint::max();
  }
  const ContainerState state = std::exchange(container->state, ContainerState::kEnding);
  container->idle.clear();
  container->network.reset();
  if (state == ContainerState::kQueued) {
    std::erase(boot_queue, container);
  } else if (!container->created) {
    Vacate(*container);
  } else {
    end_queue.push_back(container);
    if (destroys < kDestroysAtOnce) {
      ++destroys;
      asio::co_spawn(executor, DestroyAll(), asio::detached);
    }
  }
}

void WarmPool::Impl::EndIdle(PoolSet& set) {
  const std::vector<PoolContainerPtr> containers = set.containers;
  for (const PoolContainerPtr& container : containers) {
    if (container->busy == 0) End(container);
  }
}

void WarmPool::Impl::Vacate(const PoolContainer& container) {
  --occupied;
  occupied_memory -= container.MemoryLimit();
  if (occupied == 0) {
    measuring.Cancel();
    measuring_soon = false;
  }
  if (closed) nothing_left.Set();
}

asio::awaitable<void> WarmPool::Impl::DestroyAll() {
  const std::shared_ptr<Impl> self = shared_from_this();
  while (!end_queue.empty()) {
    const PoolContainerPtr container = end_queue.front();
    end_queue.pop_front();
    Result<> destroyed = co_await DestroyOne(container->id);
    if (!destroyed) {
      spdlog::error("container {} of function '{}' could not be removed: {}", container->id.value,
                    container->function->manifest.name.value, destroyed.error().message);
    }
    occupying.erase(container->id);
    Vacate(*container);
    Pump();
    StartStarved();
  }
  --destroys;
}

Awaitable<> WarmPool::Impl::DestroyOne(ContainerId id) {
  Result<> destroyed;
  for (int tries = 1;; ++tries) {
    destroyed = co_await runtime.Destroy(id);
    if (destroyed || tries == kDestroyTries) break;
    const Clock::TimePoint again = clock.Now() + kDestroyPause;
    Event paused(executor);
    co_await paused.WaitUntil(clock, again);
  }
  co_return destroyed;
}

void WarmPool::Impl::OnExit(const SandboxExit& exit) {
  const auto found = occupying.find(exit.id);
  if (found == occupying.end()) return;
  const PoolContainerPtr container = found->second;
  if (container->exit) return;
  container->exit = exit;
  container->changed.Set();
  if (container->booting || container->state == ContainerState::kEnding) return;

  PoolSet& set = *container->set;
  const Error error = ExitError(*container);
  spdlog::warn("{}", error.message);
  if (!container->answered) NoteFailure(set, error);
  Replace(container);
}

void WarmPool::Impl::Replace(const PoolContainerPtr& container) {
  PoolSet& set = *container->set;
  const DeployedPtr function = set.function;
  End(container);
  StartForWaiters(set);
  Maintain(set);
  ForgetIfEmpty(set);
  if (events.slot_freed) events.slot_freed(*function);
}

void WarmPool::Impl::ScheduleSweep(Clock::TimePoint when) {
  if (closed || when >= sweep_at) return;
  sweep_at = when;
  sweep = clock.At(when, [this] { Sweep(); });
}

void WarmPool::Impl::Sweep() {
  sweep_at = Clock::TimePoint::max();
  const Clock::TimePoint now = clock.Now();
  Clock::TimePoint next = Clock::TimePoint::max();
  std::vector<PoolSet*> all;
  for (const auto& [key, set] : sets) all.push_back(set.get());
  for (PoolSet* set : all) {
    SweepSet(*set, now, next);
    ForgetIfEmpty(*set);
  }
  if (next != Clock::TimePoint::max()) ScheduleSweep(std::max(next, now + kSweepGrain));
}

void WarmPool::Impl::SweepSet(PoolSet& set, Clock::TimePoint now, Clock::TimePoint& next) {
  std::vector<PoolContainerPtr> idle;
  for (const PoolContainerPtr& container : set.containers) {
    if (container->state == ContainerState::kReady && container->busy == 0) {
      idle.push_back(container);
    }
  }
  std::sort(idle.begin(), idle.end(), [](const PoolContainerPtr& a, const PoolContainerPtr& b) {
    return a->idle_since < b->idle_since;
  });
  size_t may_go = set.MayGo();
  for (const PoolContainerPtr& container : idle) {
    if (may_go > 0) {
      const Clock::TimePoint expires = container->idle_since + set.scale().keep_alive;
      if (expires <= now) {
        End(container);
        --may_go;
        continue;
      }
      next = std::min(next, expires);
    }
    FreezeIfDue(container, now, next);
  }
}

void WarmPool::Impl::ScheduleMeasuring(std::chrono::milliseconds after) {
  if (closed || measuring_soon) return;
  measuring_soon = true;
  measuring = clock.At(clock.Now() + after,
                       [this] { asio::co_spawn(executor, MeasureAll(), asio::detached); });
}

// A frozen container was measured when it froze: it uses no more until it is thawed.
asio::awaitable<void> WarmPool::Impl::MeasureAll() {
  const std::shared_ptr<Impl> self = shared_from_this();
  std::vector<PoolContainerPtr> containers;
  for (const auto& [id, container] : occupying) containers.push_back(container);
  for (const PoolContainerPtr& container : containers) {
    if (container->state != ContainerState::kReady || container->frost == Frost::kFrozen) continue;
    co_await Measure(*container);
  }
  measuring_soon = false;
  const bool some_run = std::any_of(occupying.begin(), occupying.end(), [](const auto& one) {
    return one.second->frost != Frost::kFrozen;
  });
  if (some_run) ScheduleMeasuring(kMeasureEvery);
}

Awaitable<> WarmPool::Impl::Measure(PoolContainer& container) {
  CO_TRY_ASSIGN(const SandboxUsage usage, co_await runtime.Stats(container.id));
  container.measured_bytes = usage.memory_bytes;
  co_return Result<>{};
}

}  // namespace hybridserve
