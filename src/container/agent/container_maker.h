// ContainerMaker: what differs between the container runtimes of the operator's: how a container is
// made, run and forgotten. AgentHost does the rest, and asks the kernel for what the kernel knows.
//
// Thread rule: the event loop's thread only.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/awaitable.h"
#include "base/ids.h"
#include "base/unique_fd.h"
#include "container/agent/container_process.h"
#include "launcher/messages.h"
#include "sandbox/network_namespace.h"

namespace hybridserve {

/// A container whose program runs.
struct RunningContainer {
  ContainerId id;
  std::string label;
  Digest image;
  ContainerProcess process;  ///< Empty: it has ended already.
  UniqueFd log;              ///< The read end of its stdout and stderr, non-blocking.
};

class ContainerMaker {
 public:
  virtual ~ContainerMaker() = default;

  /// Returns the runtime's name and version. Errors: kUnavailable it does not answer.
  virtual Awaitable<std::string> Open() = 0;
  /// What an earlier agent left running; everything else that it left is removed. After Open.
  virtual Awaitable<std::vector<RunningContainer>> Survivors() = 0;

  virtual Awaitable<> PrepareImage(Digest image) = 0;
  virtual Awaitable<> RemoveImage(Digest image) = 0;

  /// Makes the network of a container that is to be started, so that its start need not.
  virtual Awaitable<sandbox::NetworkNamespace> Hold(ContainerId id) = 0;
  /// Whether Start is slower without a Hold before it, and Hold takes long: then some are kept.
  [[nodiscard]] virtual bool HoldsAhead() const = 0;
  /// `network` is what Hold gave; empty: nothing was held. `untouched`: nobody has made a socket in
  /// it. What a failed start leaves is for Remove.
  /// Errors: kNotFound no such image; kInvalidArgument the program cannot be run; kUnavailable.
  virtual Awaitable<RunningContainer> Start(ContainerId id, SandboxSpec spec,
                                            const sandbox::NetworkNamespace& network,
                                            bool untouched) = 0;
  /// Of a container whose first process has ended: its status, or 128+N when signal N ended it; 255
  /// when nobody can know any more. `pidfd` is that process's. Reaps it, where it is a child.
  virtual Awaitable<int> ExitStatus(ContainerId id, int pidfd) = 0;
  /// Forgets what was held, started, or failed to start, once its processes have ended. Idempotent.
  virtual Awaitable<> Remove(ContainerId id) = 0;
  /// Removes what was made ahead and nothing has been run in. Nothing is asked of it afterwards.
  virtual Awaitable<> Close() = 0;
};

}  // namespace hybridserve
