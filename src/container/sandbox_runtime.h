// NativeRuntime: the ContainerRuntime over our own sandboxes, through the launcher.
//
// The launcher keeps the held sandboxes; Create takes one. A connection is a TCP socket that the
// launcher made inside the container's network namespace: they are asked for a few at a time, so
// that most connections need no call to the launcher, and a refused one serves again.
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
#include "launcher/client.h"

namespace hybridserve {

class NativeRuntime : public ContainerRuntime {
 public:
  /// `launcher` outlives the runtime; its sandbox_exited events go to OnSandboxExit.
  NativeRuntime(boost::asio::any_io_executor executor, LauncherClient& launcher);

  void OnSandboxExit(const SandboxExit& exit);

  [[nodiscard]] std::string_view name() const override { return "native"; }
  Awaitable<ContainerId> Create() override;
  Awaitable<UniqueFd> Start(ContainerId id, ContainerSpec spec) override;
  Awaitable<UniqueFd> Connect(ContainerId id) override;
  Awaitable<UniqueFd> Listen(ContainerId id, uint16_t port) override;
  Awaitable<SandboxUsage> Stats(ContainerId id) override;
  Awaitable<> Destroy(ContainerId id) override;
  Awaitable<std::vector<AdoptedContainer>> List() override;
  void OnExit(std::function<void(const SandboxExit&)> handler) override;

 private:
  struct Container {
    uint16_t port = 0;
    std::vector<UniqueFd> sockets;  // unconnected
  };

  Awaitable<UniqueFd> TakeSocket(ContainerId id);

  boost::asio::any_io_executor executor_;
  LauncherClient& launcher_;
  std::function<void(const SandboxExit&)> on_exit_;
  std::unordered_map<ContainerId, Container> running_;
};

/// The label under which the launcher keeps a container: it must bring back the port after a
/// restart. "8080/NAME@REVISION".
std::string NativeLabel(uint16_t port, std::string_view label);

struct ParsedNativeLabel {
  uint16_t port = 0;
  std::string label;
};
/// Nothing when `text` was not made by NativeLabel.
std::optional<ParsedNativeLabel> ParseNativeLabel(std::string_view text);

}  // namespace hybridserve
