// WarmPool: the ContainerPool of a node, over one ContainerRuntime.
//
// Thread rule: the event loop's thread only.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <memory>

#include "container/pool.h"
#include "container/runtime.h"

namespace hybridserve {

class WarmPool : public ContainerPool {
 public:
  /// `runtime` outlives the pool.
  WarmPool(boost::asio::any_io_executor executor, ContainerRuntime& runtime, PoolOptions options,
           PoolEvents events);
  ~WarmPool() override;

  [[nodiscard]] PoolView Look(const Deployed& function) const override;
  [[nodiscard]] PoolView LookAtNode() const override;
  [[nodiscard]] Memory UsedMemory() const override;
  std::unique_ptr<Slot> TryAcquire(const DeployedPtr& function) override;
  bool Prepare(const DeployedPtr& function) override;
  Awaitable<std::unique_ptr<Slot>> Acquire(DeployedPtr function) override;
  void Retire(const DeployedPtr& function) override;
  void KeepWarm(const DeployedPtr& function) override;
  Awaitable<> Adopt(std::function<DeployedPtr(std::string_view label)> resolve) override;
  Awaitable<> Drain() override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hybridserve
