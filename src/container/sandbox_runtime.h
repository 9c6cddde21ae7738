// SandboxRuntime: the ContainerRuntime over whoever holds the containers: the launcher, or an agent
// before a runtime of the operator's.
//
// The host keeps held sandboxes; Create takes one. A connection is a TCP socket that the host made
// inside the container's network namespace: they are asked for a few at a time, so that most
// connections need no call to the host, and a refused one serves again.
//
// Thread rule: the event loop's thread only.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "container/runtime.h"
#include "launcher/sandbox_host.h"

namespace hybridserve {

class SandboxRuntime : public ContainerRuntime {
 public:
  /// `host` outlives the runtime; its sandbox_exited events go to OnSandboxExit. `name` is what
  /// people call it: "native", "docker".
  SandboxRuntime(boost::asio::any_io_executor executor, SandboxHost& host,
                 std::string name);

  void OnSandboxExit(const SandboxExit& exit);

  [[nodiscard]] std::string_view name() const override { return name_; }
  Awaitable<ContainerId> Create() override;
  Awaitable<UniqueFd> Start(ContainerId id, ContainerSpec spec) override;
  Awaitable<UniqueFd> Connect(ContainerId id) override;
  Awaitable<UniqueFd> Listen(ContainerId id, uint16_t port) override;
  Awaitable<> Freeze(ContainerId id) override;
  Awaitable<> Thaw(ContainerId id) override;
  Awaitable<SandboxUsage> Stats(ContainerId id) override;
  Awaitable<> Destroy(ContainerId id) override;
  Awaitable<std::vector<AdoptedContainer>> List() override;
  void OnExit(std::function<void(const SandboxExit&)> handler) override;

 private:
  struct Container {
    uint16_t port = 0;
    bool settled = false;           // The host was told that it serves.
    std::vector<UniqueFd> sockets;  // unconnected
  };

  Awaitable<UniqueFd> TakeSocket(ContainerId id);
  void Settle(ContainerId id);

  boost::asio::any_io_executor executor_;
  SandboxHost& host_;
  std::string name_;
  std::function<void(const SandboxExit&)> on_exit_;
  std::unordered_map<ContainerId, Container> running_;
};

/// The label under which the host keeps a container: it must bring back the port after a
/// restart. "8080/NAME@REVISION".
std::string RuntimeLabel(uint16_t port, std::string_view label);

struct ParsedRuntimeLabel {
  uint16_t port = 0;
  std::string label;
};
/// Nothing when `text` was not made by RuntimeLabel.
std::optional<ParsedRuntimeLabel> ParseRuntimeLabel(std::string_view text);

}  // namespace hybridserve
