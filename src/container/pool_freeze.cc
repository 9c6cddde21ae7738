// Frozen containers: one that is idle for scale.freeze_after is stopped where it is, and goes on
// when a slot of it is taken. The request is sent meanwhile and waits in the container's socket.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "container/pool_state.h"

namespace hybridserve {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

// Each takes a thread of the host's for up to sandbox::kFreezePatience.
constexpr uint32_t kFreezesAtOnce = 2;
constexpr auto kMeasureSoon = 200ms;

}  // namespace

Clock::TimePoint WarmPool::Impl::FreezesAt(const PoolContainer& container) const {
  const std::chrono::milliseconds after = container.function->manifest.scale.freeze_after;
  if (!can_freeze || after == 0ms || container.frost != Frost::kNone) {
    return Clock::TimePoint::max();
  }
  return std::max(container.idle_since, container.freeze_tried) + after;
}

Clock::TimePoint WarmPool::Impl::DueAt(const PoolContainer& container) const {
  const std::chrono::milliseconds keep_alive = container.function->manifest.scale.keep_alive;
  return std::min(container.idle_since + keep_alive, FreezesAt(container));
}

void WarmPool::Impl::FreezeIfDue(const PoolContainerPtr& container, Clock::TimePoint now,
                                 Clock::TimePoint& next) {
  const Clock::TimePoint due = FreezesAt(*container);
  if (due > now || freezes == kFreezesAtOnce) {
    next = std::min(next, due);
    return;
  }
  ++freezes;
  container->frost = Frost::kFreezing;
  asio::co_spawn(executor, FreezeOne(container), asio::detached);
}

asio::awaitable<void> WarmPool::Impl::FreezeOne(PoolContainerPtr container) {
  const std::shared_ptr<Impl> self = shared_from_this();
  const Result<> frozen = co_await runtime.Freeze(container->id);
  --freezes;
  if (container->state != ContainerState::kReady) co_return;  // ended meanwhile
  if (frozen) {
    if (container->busy > 0) {  // wanted meanwhile
      container->frost = Frost::kThawing;
      co_await ThawOne(container);
      co_return;
    }
    container->frost = Frost::kFrozen;
    (void)co_await Measure(*container);
    co_return;
  }
  container->frost = Frost::kNone;
  if (frozen.error().code == Code::kUnsupported) {
    can_freeze = false;
    spdlog::info("idle containers run on: {}", frozen.error().message);
    co_return;
  }
  container->freeze_tried = clock.Now();
  spdlog::debug("container {} of function '{}' could not be frozen: {}", container->id.value,
                container->function->manifest.name.value, frozen.error().message);
  if (container->busy == 0) ScheduleSweep(DueAt(*container));
}

asio::awaitable<void> WarmPool::Impl::ThawOne(PoolContainerPtr container) {
  const std::shared_ptr<Impl> self = shared_from_this();
  const Clock::TimePoint began = clock.Now();
  const Result<> thawed = co_await runtime.Thaw(container->id);
  const auto took = std::chrono::duration_cast<Microseconds>(clock.Now() - began);
  if (container->state != ContainerState::kReady) co_return;  // ended meanwhile
  container->frost = Frost::kNone;
  if (!thawed) {
    // Its requests would wait for nothing.
    spdlog::warn("container {} of function '{}' could not be thawed and goes: {}",
                 container->id.value, container->function->manifest.name.value,
                 thawed.error().message);
    Replace(container);
    co_return;
  }
  if (events.thawed) events.thawed(*container->function, took);
  ScheduleMeasuring(kMeasureSoon);
  if (container->busy == 0) ScheduleSweep(DueAt(*container));
}

}  // namespace hybridserve
