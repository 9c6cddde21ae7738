// BundleHost: the RuntimeHost of every runtime that takes bundles.
//
// A held sandbox is a network namespace and nothing else: the rest depends on the function. Start
// mounts the root, writes the runtime specification, has the runtime make the container's first
// process and then run the program. From there on the kernel is asked, not the runtime
// (container_process.h), until the process has ended and the runtime forgets the container.
//
// A running container outlives this object: the next one finds it by the note in its folder.
//
// Thread rule: the event loop's thread only.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <memory>

#include "container/agent/bundle/bundle_runtime.h"
#include "container/agent/runtime_host.h"

namespace hybridserve {

class BundleHost : public RuntimeHost {
 public:
  BundleHost(boost::asio::any_io_executor executor, std::unique_ptr<BundleRuntime> runtime,
             RuntimeHostOptions options);
  ~BundleHost() override;

  // RuntimeHost.
  Awaitable<std::string> Open() override;
  Awaitable<> PrepareImage(Digest image) override;
  Awaitable<> RemoveImage(Digest image) override;
  void OnExit(std::function<void(const SandboxExit&)> handler) override;
  Awaitable<ContainerId> CreateSandbox() override;
  Awaitable<UniqueFd> StartSandbox(ContainerId id, SandboxSpec spec) override;
  Awaitable<std::vector<UniqueFd>> MakeSockets(ContainerId id, uint32_t count) override;
  Awaitable<UniqueFd> MakeListener(ContainerId id, uint16_t port) override;
  Awaitable<> FreezeSandbox(ContainerId id) override;
  Awaitable<> ThawSandbox(ContainerId id) override;
  Awaitable<SandboxUsage> Stats(ContainerId id) override;
  Awaitable<> DestroySandbox(ContainerId id) override;
  Awaitable<std::vector<AdoptedSandbox>> List() override;

  struct Impl;

 private:
  std::shared_ptr<Impl> impl_;  // Shared by: this object and work under way.
};

}  // namespace hybridserve
