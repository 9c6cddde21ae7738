// ContainerRuntime: what starts, reaches and ends containers. SandboxRuntime (sandbox_runtime.h) is
// the real one, over the launcher or an agent; fake/ serves tests. All pass runtime_conformance.h.
//
// Lifetime of a container: Create (held: nothing of the app runs) → Start (running ⇄ frozen) →
// Destroy.
//
// Thread rule: the event loop's thread only.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/awaitable.h"
#include "base/ids.h"
#include "base/unique_fd.h"
#include "launcher/messages.h"

namespace hybridserve {

/// What to run. `label` comes back from List after our own restart.
struct ContainerSpec {
  SandboxSpec sandbox;
  uint16_t port = 8080;  ///< Put into the environment as PORT.
};

/// Where the node's forward proxy listens inside a container whose function has `[network]`: the
/// port that proxies commonly have, and none that PORT ever is.
inline constexpr uint16_t kProxyPort = 3128;

struct AdoptedContainer {
  ContainerId id;
  std::string label;
  UniqueFd log;
};

class ContainerRuntime {
 public:
  virtual ~ContainerRuntime() = default;
  [[nodiscard]] virtual std::string_view name() const = 0;

  /// Takes a held sandbox, or makes one. Errors: kUnavailable the node cannot make one now.
  virtual Awaitable<ContainerId> Create() = 0;
  /// Runs the program. Returns the read end of its stdout and stderr; it need not listen yet.
  /// Errors: kNotFound no such container or image; kInvalidArgument the program cannot be run.
  virtual Awaitable<UniqueFd> Start(ContainerId id, ContainerSpec spec) = 0;
  /// A connected, non-blocking stream to 127.0.0.1:PORT inside.
  /// Errors: kUnavailable nothing listens there (yet); kNotFound no such running container.
  virtual Awaitable<UniqueFd> Connect(ContainerId id) = 0;
  /// A listening, non-blocking stream socket on 127.0.0.1:`port` inside, from Create on: what the
  /// container's program connects to there can be accepted from it. 1024..65535.
  /// Errors: kConflict something listens there already; kNotFound no such container.
  virtual Awaitable<UniqueFd> Listen(ContainerId id, uint16_t port) = 0;
  /// Stops every process of a running container where it is; its listeners still take connections,
  /// and what is sent waits. Idempotent. Errors: kNotFound; kTimeout it cannot be stopped now, and
  /// runs on; kUnsupported this runtime cannot.
  virtual Awaitable<> Freeze(ContainerId id) = 0;
  /// Lets it go on. Idempotent. Errors: kNotFound.
  virtual Awaitable<> Thaw(ContainerId id) = 0;
  virtual Awaitable<SandboxUsage> Stats(ContainerId id) = 0;
  /// Idempotent; leaves nothing.
  virtual Awaitable<> Destroy(ContainerId id) = 0;
  /// The containers that outlived our own restart.
  virtual Awaitable<std::vector<AdoptedContainer>> List() = 0;

  /// Called once for each started container that ends by itself. Not called for Destroy.
  virtual void OnExit(std::function<void(const SandboxExit&)> handler) = 0;
};

}  // namespace hybridserve
