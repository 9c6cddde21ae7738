// Sets, slots and waiters. Starts are in pool_boot.cc, ends in pool_end.cc, requests in
// pool_slot.cc.
#include "container/warm_pool.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/this_coro.hpp>
#include <string>
#include <utility>

#include "container/keep_value.h"
#include "container/pool_state.h"

namespace hybridserve {

namespace asio = boost::asio;

std::string ContainerLabel(const Deployed& function) {
  return function.manifest.name.value + "@" + std::to_string(function.revision.value);
}

ContainerSpec SpecFromManifest(const Deployed& function) {
  const Manifest& manifest = function.manifest;
  ContainerSpec spec;
  spec.sandbox.name = manifest.name.value;
  spec.sandbox.image = function.image;
  if (manifest.container) {
    spec.sandbox.argv = manifest.container->command;
    spec.sandbox.writable_root = manifest.container->writable_root;
  }
  spec.sandbox.environment = function.environment;
  if (!manifest.network.empty()) {
    const std::string proxy = "http://127.0.0.1:" + std::to_string(kProxyPort);
    for (const char* name : {"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"}) {
      spec.sandbox.environment[name] = proxy;
    }
  }
  spec.sandbox.memory_bytes = manifest.limits.memory_bytes;
  spec.sandbox.disk_bytes = manifest.limits.disk_bytes;
  spec.sandbox.pids = manifest.limits.pids;
  spec.sandbox.cpu_cores = manifest.limits.cpu_cores;
  return spec;
}

PoolContainer::PoolContainer(const asio::any_io_executor& executor, PoolSet& owner)
    : set(&owner), function(owner.function), changed(executor) {}

bool PoolContainer::HasFreeSlot() const {
  return state == ContainerState::kReady && !broken && busy < function->manifest.scale.slots;
}

bool PoolContainer::Booting() const { return state < ContainerState::kReady; }

uint32_t PoolSet::Booting() const {
  return static_cast<uint32_t>(std::count_if(containers.begin(), containers.end(),
                                             [](const auto& one) { return one->Booting(); }));
}

uint32_t PoolSet::Ready() const { return static_cast<uint32_t>(containers.size()) - Booting(); }

uint32_t PoolSet::MayGo() const {
  const uint32_t kept = keep_warm ? scale().min_warm : 0;
  return Ready() - std::min(Ready(), kept);
}

Clock::TimePoint PoolSet::BackOffUntil() const {
  if (!last_failure || failures == 0) return Clock::TimePoint::min();
  return *last_failure + std::chrono::seconds(1) * (1 << std::min(failures - 1, 6u));
}

WarmPool::Impl::Impl(asio::any_io_executor loop, ContainerRuntime& container_runtime,
                     PoolOptions limits, PoolEvents observers, WarmPoolParts parts)
    : executor(std::move(loop)),
      runtime(container_runtime),
      options(limits),
      events(std::move(observers)),
      make_spec(parts.spec ? std::move(parts.spec) : SpecFromManifest),
      make_network(std::move(parts.network)),
      own_clock(parts.clock == nullptr ? std::make_unique<SystemClock>(executor) : nullptr),
      clock(parts.clock == nullptr ? *own_clock : *parts.clock),
      nothing_left(executor) {}

WarmPool::WarmPool(asio::any_io_executor executor, ContainerRuntime& runtime, PoolOptions options,
                   PoolEvents events, WarmPoolParts parts)
    : impl_(std::make_shared<Impl>(std::move(executor), runtime, options, std::move(events),
                                   std::move(parts))) {
  runtime.OnExit([weak = std::weak_ptr<Impl>(impl_)](const SandboxExit& exit) {
    if (const auto impl = weak.lock()) impl->OnExit(exit);
  });
}

WarmPool::~WarmPool() {
  impl_->runtime.OnExit(nullptr);
  impl_->Close();
}

PoolSet* WarmPool::Impl::FindSet(const Deployed& function) const {
  const auto found = sets.find(KeyOf(function));
  return found == sets.end() ? nullptr : found->second.get();
}

PoolSet& WarmPool::Impl::GetSet(const DeployedPtr& function) {
  if (PoolSet* set = FindSet(*function)) return *set;
  auto set = std::make_unique<PoolSet>(function);
  PoolSet& added = *set;
  sets.emplace(KeyOf(*added.function), std::move(set));
  return added;
}

void WarmPool::Impl::ForgetIfEmpty(PoolSet& set) {
  if (!set.containers.empty() || !set.waiters.empty() || set.keep_warm) return;
  if (set.failures > 0 && !set.retired) return;
  sets.erase(KeyOf(*set.function));
}

namespace {

void Count(const PoolSet& set, uint32_t slots, PoolView& view) {
  for (const PoolContainerPtr& container : set.containers) {
    if (container->Booting()) {
      ++view.starting;
      continue;
    }
    ++view.ready;
    if (container->frost == Frost::kFrozen) ++view.frozen;
    view.busy_slots += container->busy;
    if (container->HasFreeSlot() && !set.retired) view.free_slots += slots - container->busy;
  }
}

}  // namespace

PoolView WarmPool::Look(const Deployed& function) const {
  PoolView view;
  if (const PoolSet* set = impl_->FindSet(function)) {
    Count(*set, set->scale().slots, view);
    view.last_failure = set->last_failure;
    view.failures_in_row = set->failures;
    view.boot_time = set->boot_time;
  }
  return view;
}

PoolView WarmPool::LookAtNode() const {
  PoolView view;
  for (const auto& [key, set] : impl_->sets) Count(*set, set->scale().slots, view);
  return view;
}

ContainerPool::Usage WarmPool::Used() const {
  Usage usage;
  for (const auto& [id, container] : impl_->occupying) {
    usage.memory_bytes += container->measured_bytes;
    if (container->set == nullptr) ++usage.ending;
  }
  return usage;
}

std::unique_ptr<ContainerPool::Slot> WarmPool::TryAcquire(const DeployedPtr& function) {
  PoolSet* set = impl_->FindSet(*function);
  if (set == nullptr || set->retired || impl_->closed) return nullptr;
  return impl_->TakeSlot(*set);
}

// The fullest container with a free slot, which lets the others become idle and go; a frozen one
// only if none runs. It is thawed while the request is sent to it.
std::unique_ptr<ContainerPool::Slot> WarmPool::Impl::TakeSlot(PoolSet& set) {
  const auto rank = [](const PoolContainer& container) {
    return std::pair(container.frost != Frost::kFrozen, container.busy);
  };
  const PoolContainerPtr* best = nullptr;
  for (const PoolContainerPtr& container : set.containers) {
    if (!container->HasFreeSlot()) continue;
    if (best == nullptr || rank(*container) > rank(**best)) best = &container;
  }
  if (best == nullptr) return nullptr;
  const PoolContainerPtr container = *best;
  ++container->busy;
  ++set.uses;
  Value(*container);
  if (container->frost == Frost::kFrozen) {
    container->frost = Frost::kThawing;
    asio::co_spawn(executor, ThawOne(container), asio::detached);
  }
  return MakeSlot(shared_from_this(), container);
}

void WarmPool::Impl::Value(PoolContainer& container) const {
  const PoolSet& set = *container.set;
  container.keep_value = KeepValue(value_floor, std::max<uint64_t>(set.uses, 1),
                                   set.boot_time.value_or(Microseconds(0)), container.MemoryLimit());
}

void WarmPool::Impl::Release(const PoolContainerPtr& container) {
  --container->busy;
  if (container->set == nullptr || closed) return;
  PoolSet& set = *container->set;
  const DeployedPtr function = set.function;
  HandOut(set);
  if (container->busy == 0) {
    container->idle_since = clock.Now();
    if (container->broken || (set.retired && set.waiters.empty())) {
      End(container);
      StartForWaiters(set);
      Maintain(set);
      ForgetIfEmpty(set);
    } else {
      ScheduleSweep(DueAt(*container));
    }
  }
  StartStarved();
  if (events.slot_freed) events.slot_freed(*function);
}

void WarmPool::Impl::HandOut(PoolSet& set) {
  while (!set.waiters.empty()) {
    std::unique_ptr<Slot> slot = TakeSlot(set);
    if (!slot) return;
    PoolWaiter& waiter = *set.waiters.front();
    set.waiters.pop_front();
    waiter.slot = std::move(slot);
    waiter.changed.Set();
  }
}

void WarmPool::Impl::FailWaiters(PoolSet& set, const Error& error) {
  for (PoolWaiter* waiter : set.waiters) {
    waiter->error = error;
    waiter->changed.Set();
  }
  set.waiters.clear();
}

bool WarmPool::Prepare(const DeployedPtr& function) {
  if (impl_->closed || function->image.value.empty()) return false;
  PoolSet& set = impl_->GetSet(function);
  const bool starting = !set.retired && impl_->StartOne(set);
  impl_->ForgetIfEmpty(set);
  return starting;
}

Awaitable<std::unique_ptr<ContainerPool::Slot>> WarmPool::Acquire(DeployedPtr function) {
  co_await asio::this_coro::throw_if_cancelled(false);
  const std::shared_ptr<Impl> impl = impl_;
  const std::string& name = function->manifest.name.value;
  if (impl->closed) co_return Fail(Code::kUnavailable, "the node is shutting down");
  if (function->image.value.empty() || function->manifest.scale.max_containers == 0) {
    co_return Fail(Code::kUnavailable, "function '" + name +
                                           "' may not run in a container: it has no image, or "
                                           "scale.max_containers is 0");
  }
  PoolSet& set = impl->GetSet(function);
  if (std::unique_ptr<Slot> slot = impl->TakeSlot(set)) co_return slot;
  if (set.containers.empty() && impl->clock.Now() < set.BackOffUntil()) {
    Error error = set.last_error;
    error.message +=
        " (not tried again at once, after " + std::to_string(set.failures) + " failures in a row)";
    co_return tl::unexpected(std::move(error));
  }
  PoolWaiter waiter(impl->executor);
  set.waiters.push_back(&waiter);
  impl->StartForWaiters(set);
  Result<std::unique_ptr<Slot>> slot = co_await impl->Wait(set, waiter);
  co_return slot;
}

namespace {

// Takes the waiter out of its set's queue, however the wait ends.
class Leaving {
 public:
  Leaving(WarmPool::Impl& pool, PoolSet& set, PoolWaiter& waiter)
      : pool_(pool), set_(set), waiter_(waiter) {}
  ~Leaving() {
    // Once it was given a slot or an error, it is out of the queue and the set may be gone.
    if (waiter_.slot || waiter_.error || taken_) return;
    std::erase(set_.waiters, &waiter_);
    if (set_.retired && set_.waiters.empty()) pool_.EndIdle(set_);
    pool_.ForgetIfEmpty(set_);
  }
  Leaving(const Leaving&) = delete;
  Leaving& operator=(const Leaving&) = delete;
  void SlotTaken() { taken_ = true; }

 private:
  WarmPool::Impl& pool_;
  PoolSet& set_;
  PoolWaiter& waiter_;
  bool taken_ = false;
};

}  // namespace

Awaitable<std::unique_ptr<ContainerPool::Slot>> WarmPool::Impl::Wait(PoolSet& set,
                                                                     PoolWaiter& waiter) {
  const std::shared_ptr<Impl> self = shared_from_this();
  const DeployedPtr function = set.function;
  const Clock::TimePoint deadline = clock.Now() + function->manifest.limits.queue_timeout;
  Leaving leaving(*self, set, waiter);
  for (;;) {
    if (waiter.slot) {
      leaving.SlotTaken();
      co_return std::move(waiter.slot);
    }
    if (waiter.error) co_return tl::unexpected(*waiter.error);
    if (clock.Now() < deadline) {
      co_await waiter.changed.WaitUntil(clock, deadline);
    } else {
      if (std::optional<Error> error = Overdue(set)) co_return tl::unexpected(std::move(*error));
      co_await waiter.changed.Wait();
    }
    const asio::cancellation_state state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) {
      co_return Fail(Code::kCancelled, "the client went away");
    }
  }
}

// What a waiter is told once queue_timeout has passed; absent while the first container is on its
// way, which has a time limit of its own.
std::optional<Error> WarmPool::Impl::Overdue(const PoolSet& set) const {
  const std::string& name = set.function->manifest.name.value;
  const std::string waited =
      std::to_string(set.function->manifest.limits.queue_timeout.count()) + " ms";
  if (set.containers.empty()) {
    return Error{
        Code::kUnavailable,
        "no container for function '" + name + "': the node stayed at its limit of " +
            std::to_string(options.max_containers) + " containers" +
            (options.memory_bytes > 0 ? " or " + std::to_string(options.memory_bytes) + " bytes"
                                      : "") +
            " for " + waited};
  }
  const bool on_its_way =
      std::any_of(set.containers.begin(), set.containers.end(), [](const auto& container) {
        return container->Booting() && container->state != ContainerState::kQueued;
      });
  if (on_its_way && set.Ready() == 0) return std::nullopt;
  return Error{Code::kTimeout, "queue timeout: no slot in a container of function '" + name +
                                   "' became free in " + waited +
                                   "; scale.max_containers or scale.slots may be too low"};
}

void WarmPool::Retire(const DeployedPtr& function) {
  PoolSet* set = impl_->FindSet(*function);
  if (set == nullptr) return;
  set->retired = true;
  set->keep_warm = false;
  set->retry.Cancel();
  if (set->waiters.empty()) impl_->EndIdle(*set);
  impl_->ForgetIfEmpty(*set);
}

void WarmPool::KeepWarm(const DeployedPtr& function) {
  if (impl_->closed || function->image.value.empty()) return;
  PoolSet& set = impl_->GetSet(function);
  set.retired = false;
  set.keep_warm = set.scale().min_warm > 0;
  impl_->Maintain(set);
  impl_->ForgetIfEmpty(set);
}

void WarmPool::Impl::Close() {
  if (closed) return;
  closed = true;
  sweep.Cancel();
  measuring.Cancel();
  for (const auto& [key, set] : sets) {
    set->retry.Cancel();
    FailWaiters(*set, {Code::kUnavailable, "the node is shutting down"});
  }
}

Awaitable<> WarmPool::Drain() {
  co_await asio::this_coro::throw_if_cancelled(false);
  const std::shared_ptr<Impl> impl = impl_;
  impl->Close();
  std::vector<PoolContainerPtr> all;
  for (const auto& [key, set] : impl->sets) {
    all.insert(all.end(), set->containers.begin(), set->containers.end());
  }
  for (const PoolContainerPtr& container : all) impl->End(container);
  while (impl->occupied > 0 || impl->boots > 0) {
    co_await impl->nothing_left.Wait();
    const asio::cancellation_state state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) {
      co_return Fail(Code::kCancelled, "stopped waiting for the containers' end");
    }
  }
  co_return Result<>{};
}

}  // namespace hybridserve
