// AgentLink: the SandboxHost of a node whose containers another runtime makes: an agent of the
// launcher's holds them. It outlives the agent: one that ends is started again, and what ended
// meanwhile is told as an exit.
//
// Thread rule: the event loop's thread only.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/awaitable.h"
#include "launcher/client.h"
#include "launcher/sandbox_host.h"

namespace hybridserve {

class AgentLink : public SandboxHost {
 public:
  /// `launcher` outlives it. `runtime` is what people call the agent's runtime.
  AgentLink(boost::asio::any_io_executor executor, LauncherClient& launcher, std::string runtime,
            std::function<void(const SandboxExit&)> on_exit);
  ~AgentLink() override;

  /// Starts the first agent. Errors: kUnsupported the launcher has none.
  Awaitable<> Open();

  Awaitable<> PrepareImage(Digest image);
  Awaitable<> RemoveImage(Digest image);

  // SandboxHost. Each fails with kUnavailable while there is no agent.
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
  std::shared_ptr<Impl> impl_;  // Shared by: this object and the restart under way.
};

}  // namespace hybridserve
