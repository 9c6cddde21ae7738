// BundleMaker: the ContainerMaker of every runtime that takes bundles.
//
// What is held is a network namespace and nothing else: the rest depends on the function. Start
// mounts the root, writes the runtime specification, has the runtime make the container's first
// process and then run the program.
//
// Created ahead: after a start, one more container of the same specification is made in the
// background, up to the process that waits before its program. The next start of an equal
// specification only lets it go on. `held` of them are kept, the last used longest; one that the
// function's next revision has no use for goes when another takes its place.
//
// Thread rule: the event loop's thread only.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <memory>

#include "container/agent/bundle/bundle_runtime.h"
#include "container/agent/container_maker.h"
#include "container/agent/runtime_host.h"

namespace hybridserve {

class BundleMaker : public ContainerMaker {
 public:
  BundleMaker(boost::asio::any_io_executor executor, std::unique_ptr<BundleRuntime> runtime,
              RuntimeHostOptions options);
  ~BundleMaker() override;

  Awaitable<std::string> Open() override;
  Awaitable<std::vector<RunningContainer>> Survivors() override;
  Awaitable<> PrepareImage(Digest image) override;
  Awaitable<> RemoveImage(Digest image) override;
  Awaitable<sandbox::NetworkNamespace> Hold(ContainerId id) override;
  [[nodiscard]] bool HoldsAhead() const override { return false; }
  Awaitable<RunningContainer> Start(ContainerId id, SandboxSpec spec,
                                    const sandbox::NetworkNamespace& network,
                                    bool untouched) override;
  Awaitable<int> ExitStatus(ContainerId id, int pidfd) override;
  Awaitable<> Remove(ContainerId id) override;
  Awaitable<> Close() override;

  struct Impl;

 private:
  std::shared_ptr<Impl> impl_;  // Shared by: this object and work under way.
};

}  // namespace hybridserve
