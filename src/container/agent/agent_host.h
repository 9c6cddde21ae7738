// AgentHost: the RuntimeHost over any ContainerMaker: which sandboxes there are, what state each is
// in, who waits for its end.
//
// From a container's start on the kernel is asked, not the runtime (container_process.h), until its
// first process has ended and the runtime forgets it. A running container outlives this object: the
// next one finds it by what its maker remembers.
//
// Thread rule: the event loop's thread only.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <memory>

#include "container/agent/container_maker.h"
#include "container/agent/runtime_host.h"

namespace hybridserve {

class AgentHost : public RuntimeHost {
 public:
  /// `held` sandboxes are kept ready where that takes the maker long.
  AgentHost(boost::asio::any_io_executor executor, std::unique_ptr<ContainerMaker> maker,
            uint32_t held);
  ~AgentHost() override;

  // RuntimeHost.
  Awaitable<std::string> Open() override;
  Awaitable<> PrepareImage(Digest image) override;
  Awaitable<> RemoveImage(Digest image) override;
  Awaitable<> Close() override;
  void OnExit(std::function<void(const SandboxExit&)> handler) override;
  Awaitable<ContainerId> CreateSandbox() override;
  Awaitable<UniqueFd> StartSandbox(ContainerId id, SandboxSpec spec) override;
  Awaitable<std::vector<UniqueFd>> MakeSockets(ContainerId id, uint32_t count) override;
  Awaitable<UniqueFd> MakeListener(ContainerId id, uint16_t port) override;
  Awaitable<> FreezeSandbox(ContainerId id) override;
  Awaitable<> ThawSandbox(ContainerId id) override;
  Awaitable<> SettleSandbox(ContainerId id) override;
  Awaitable<SandboxUsage> Stats(ContainerId id) override;
  Awaitable<> DestroySandbox(ContainerId id) override;
  Awaitable<std::vector<AdoptedSandbox>> List() override;

  struct Impl;

 private:
  std::shared_ptr<Impl> impl_;  // Shared by: this object and work under way.
};

}  // namespace hybridserve
