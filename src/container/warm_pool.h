// WarmPool: the ContainerPool of a node, over one ContainerRuntime.
//
// Starts wait for one of the node's boot slots, in order, and for room: when max_containers or
// memory_bytes is reached, the least valuable idle container of another function goes first
// (keep_value.h). A container is ready once its port takes a connection, which is probed at growing
// intervals; that connection serves its first request. Connections are kept open between requests.
//
// One call of the clock freezes and ends all idle containers, so an idle node does nothing at all
// but end what has been frozen for long.
//
// A container that breaks the connections of two requests in a row takes no new work and ends;
// the function's requests go to Wasm until another is ready.
//
// Thread rule: the event loop's thread only. Destroy it after Drain, or once the event loop has
// stopped.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <memory>

#include "container/clock.h"
#include "container/pool.h"
#include "container/runtime.h"

namespace hybridserve {

/// What a container of this revision runs, as its manifest says. An image's own entrypoint is not
/// known here: without a command in the manifest, argv is empty.
ContainerSpec SpecFromManifest(const Deployed& function);

/// What serves a container's outbound connections. Its destructor closes all of them.
class NetworkService {
 public:
  virtual ~NetworkService() = default;
};

/// What tests and the server put in place of the defaults.
struct WarmPoolParts {
  Clock* clock = nullptr;  ///< Outlives the pool; nullptr: the system's.
  /// What to run for a revision; absent: SpecFromManifest. The pool sets the label.
  std::function<ContainerSpec(const Deployed&)> spec;
  /// Serves what a container of a function with `[network]` connects to on kProxyPort, until what
  /// it returned is destroyed; absent: no container gets that port.
  std::function<std::unique_ptr<NetworkService>(UniqueFd listener, const DeployedPtr&)> network;
};

class WarmPool : public ContainerPool {
 public:
  /// `runtime` outlives the pool.
  WarmPool(boost::asio::any_io_executor executor, ContainerRuntime& runtime, PoolOptions options,
           PoolEvents events, WarmPoolParts parts = {});
  ~WarmPool() override;

  [[nodiscard]] PoolView Look(const Deployed& function) const override;
  [[nodiscard]] PoolView LookAtNode() const override;
  [[nodiscard]] Usage Used() const override;
  std::unique_ptr<Slot> TryAcquire(const DeployedPtr& function) override;
  bool Prepare(const DeployedPtr& function) override;
  Awaitable<std::unique_ptr<Slot>> Acquire(DeployedPtr function) override;
  void Retire(const DeployedPtr& function) override;
  void KeepWarm(const DeployedPtr& function) override;
  Awaitable<> Adopt(std::function<DeployedPtr(std::string_view label)> resolve) override;
  Awaitable<> Drain() override;

  struct Impl;

 private:
  // Shared with slots, boots and other work under way, which may outlive the pool itself.
  std::shared_ptr<Impl> impl_;
};

}  // namespace hybridserve
