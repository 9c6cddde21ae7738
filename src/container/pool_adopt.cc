// Takes back the containers that outlived the server's own restart.
#include <spdlog/spdlog.h>

#include <boost/asio/this_coro.hpp>

#include "container/pool_state.h"

namespace hybridserve {

namespace asio = boost::asio;

Awaitable<> WarmPool::Adopt(std::function<DeployedPtr(std::string_view label)> resolve) {
  co_await asio::this_coro::throw_if_cancelled(false);
  const std::shared_ptr<Impl> impl = impl_;
  CO_TRY_ASSIGN(std::vector<AdoptedContainer> survivors, co_await impl->runtime.List());
  for (AdoptedContainer& survivor : survivors) {
    DeployedPtr function = resolve(survivor.label);
    if (impl->closed || impl->occupying.count(survivor.id) > 0) continue;
    if (function && impl->HasPlaceFor(*function)) {
      co_await impl->AdoptOne(std::move(survivor), std::move(function));
      continue;
    }
    Result<> destroyed = co_await impl->DestroyOne(survivor.id);
    if (!destroyed) {
      spdlog::error("container {} ('{}') of an earlier run could not be removed: {}",
                    survivor.id.value, survivor.label, destroyed.error().message);
    }
  }
  co_return Result<>{};
}

bool WarmPool::Impl::HasPlaceFor(const Deployed& function) const {
  const PoolSet* set = FindSet(function);
  const size_t has = set == nullptr ? 0 : set->containers.size();
  return has < function.manifest.scale.max_containers &&
         HasRoom(function.manifest.limits.memory_bytes);
}

asio::awaitable<void> WarmPool::Impl::AdoptOne(AdoptedContainer survivor, DeployedPtr function) {
  PoolSet& set = GetSet(function);
  const auto container = std::make_shared<PoolContainer>(executor, set);
  container->id = survivor.id;
  container->created = true;
  container->state = ContainerState::kStarting;
  container->answered = true;
  set.containers.push_back(container);
  occupying.emplace(container->id, container);
  ++live;
  ++occupied;
  live_memory += container->MemoryLimit();
  occupied_memory += container->MemoryLimit();
  if (survivor.log) StartLog(container, std::move(survivor.log));

  const Result<> network = co_await OpenNetwork(container);
  if (!network) {
    spdlog::warn("container {} of function '{}' outlived a restart and has no network now: {}",
                 container->id.value, function->manifest.name.value, network.error().message);
  }
  if (container->set == nullptr) co_return;  // ended meanwhile
  const Result<> thawed = co_await runtime.Thaw(container->id);  // It may have been frozen.
  if (!thawed && thawed.error().code != Code::kUnsupported) {
    spdlog::warn("container {} of function '{}' outlived a restart and cannot be thawed: {}",
                 container->id.value, function->manifest.name.value, thawed.error().message);
  }
  if (container->set == nullptr) co_return;  // ended meanwhile
  Result<UniqueFd> stream = co_await runtime.Connect(container->id);
  if (container->set == nullptr) co_return;  // ended meanwhile
  if (stream) {
    container->idle.push_back(std::make_unique<Connection>(executor, std::move(*stream)));
    BecomeReady(container);
    if (events.slot_freed) events.slot_freed(*function);
  } else {
    spdlog::info("container {} of function '{}' outlived a restart but does not listen: {}",
                 container->id.value, function->manifest.name.value, stream.error().message);
    PoolSet& owner = *container->set;
    End(container);
    ForgetIfEmpty(owner);
  }
}

}  // namespace hybridserve
