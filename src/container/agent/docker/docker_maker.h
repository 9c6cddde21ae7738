// DockerMaker: containers by Docker Engine.
//
// What is held is a container of a program that waits, with a network of its own; the function's
// container joins its network, which makes its start twice as fast as one with a new network. The
// log is what the Engine streams; it keeps none itself.
//
// Containers carry the labels hybridserve.node, .id, .label, .image and .role, and images are named
// hybridserve-NODE:DIGEST, so that nothing else of the Engine's is ever touched.
//
// Not held: limits.disk where the root is writable: the Engine's file systems have no such limit.
//
// Thread rule: the event loop's thread only; one of its own writes images.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <memory>

#include "container/agent/container_maker.h"
#include "container/agent/runtime_host.h"

namespace hybridserve {

class DockerMaker : public ContainerMaker {
 public:
  DockerMaker(boost::asio::any_io_executor executor, RuntimeHostOptions options);
  ~DockerMaker() override;

  Awaitable<std::string> Open() override;
  Awaitable<std::vector<RunningContainer>> Survivors() override;
  Awaitable<> PrepareImage(Digest image) override;
  Awaitable<> RemoveImage(Digest image) override;
  Awaitable<sandbox::NetworkNamespace> Hold(ContainerId id) override;
  [[nodiscard]] bool HoldsAhead() const override { return true; }
  Awaitable<RunningContainer> Start(ContainerId id, SandboxSpec spec,
                                    const sandbox::NetworkNamespace& network,
                                    bool untouched) override;
  Awaitable<int> ExitStatus(ContainerId id, int pidfd) override;
  Awaitable<> Remove(ContainerId id) override;
  Awaitable<> Close() override;

  struct Impl;

 private:
  std::shared_ptr<Impl> impl_;  // Shared by: this object and log streams under way.
};

}  // namespace hybridserve
