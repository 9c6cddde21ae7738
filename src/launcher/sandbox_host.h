// SandboxHost: whoever holds the containers of a node: the launcher, which makes our own sandboxes,
// or an agent (container/agent) that has a container runtime of the operator's make them. Both are
// asked the same.
//
//   Create → held (nothing of a function runs) → Start → running ⇄ frozen → Destroy
//
// Thread rule: the event loop's thread only.
#pragma once

#include <cstdint>
#include <vector>

#include "base/awaitable.h"
#include "base/ids.h"
#include "base/unique_fd.h"
#include "launcher/messages.h"

namespace hybridserve {

class SandboxHost {
 public:
  virtual ~SandboxHost() = default;

  /// A generic sandbox: whatever does not depend on a function is done. Errors: kUnsupported no
  /// containers here; kUnavailable the node cannot make one now.
  virtual Awaitable<ContainerId> CreateSandbox() = 0;
  /// Gives a created sandbox its root file system and runs the program. The descriptor is the read
  /// end of its stdout and stderr, non-blocking.
  /// Errors: kNotFound no such sandbox or image; kConflict it was started already;
  /// kInvalidArgument the program cannot be run. A sandbox whose start failed is gone.
  virtual Awaitable<UniqueFd> StartSandbox(ContainerId id, SandboxSpec spec) = 0;
  /// `count` (1..8) unconnected, non-blocking TCP sockets made in the sandbox's network namespace.
  virtual Awaitable<std::vector<UniqueFd>> MakeSockets(ContainerId id, uint32_t count) = 0;
  /// A listening, non-blocking TCP socket on 127.0.0.1:`port` (1024 and above) in the sandbox's
  /// network namespace. Errors: kConflict something listens there already; kNotFound.
  virtual Awaitable<UniqueFd> MakeListener(ContainerId id, uint16_t port) = 0;
  /// Stops every process of a running sandbox where it is; its listeners still take connections.
  /// Idempotent. Errors: kNotFound; kConflict it does not run; kTimeout it cannot be stopped now,
  /// and runs on; kUnsupported this host cannot.
  virtual Awaitable<> FreezeSandbox(ContainerId id) = 0;
  /// Lets it go on. Idempotent. Errors: kNotFound.
  virtual Awaitable<> ThawSandbox(ContainerId id) = 0;
  /// The program serves: from now on it has the share of the processor that any process has. Until
  /// then it has a quarter: a start takes it from the requests that Wasm answers meanwhile.
  /// Idempotent. Errors: kNotFound.
  virtual Awaitable<> SettleSandbox(ContainerId id) = 0;
  virtual Awaitable<SandboxUsage> Stats(ContainerId id) = 0;
  /// Kills everything in it and removes every trace. Idempotent.
  virtual Awaitable<> DestroySandbox(ContainerId id) = 0;
  /// Those that were created and not destroyed, also for a server before this one.
  virtual Awaitable<std::vector<AdoptedSandbox>> List() = 0;
};

}  // namespace hybridserve
