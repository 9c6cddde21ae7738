// RuntimeHost: a SandboxHost over a container runtime of the operator's: Docker, containerd, runc.
// One implementation a folder; each runs in the agent (agent.h) and passes runtime_conformance.h.
//
// What every implementation keeps to:
//   - No published port and no bridge: the container has loopback alone, and its sockets are made
//     in its network namespace (container_process.h).
//   - Everything it makes carries the node's tag, so that List finds this node's containers and
//     nobody else's, also after a crash of this process or of the runtime's daemon.
//   - A daemon that is away makes calls fail with kUnavailable; when it is back, they work again.
//
// Thread rule: the event loop's thread only.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "launcher/sandbox_host.h"

namespace hybridserve {

struct RuntimeHostOptions {
  std::string node;  ///< Tag of this node, the same after a restart: [a-z0-9]{1,32}.
  std::filesystem::path folder;   ///< Its own, root's alone; made by whoever starts the agent.
  std::filesystem::path images;   ///< The store: images/DIGEST/rootfs, of the owner range.
  std::filesystem::path runtime;  ///< The daemon's socket or the runtime's program.
  uint32_t held = 0;              ///< Sandboxes kept ready. 0..16.
};

class RuntimeHost : public SandboxHost {
 public:
  /// Connects, and removes what a crash left half made. Returns what it is, for people: "Docker
  /// Engine 20.10.24". Errors: kUnavailable it does not answer; kUnsupported it cannot serve.
  virtual Awaitable<std::string> Open() = 0;

  /// Makes the unpacked image of the store known to the runtime, so that a start needs no more than
  /// to name it. Idempotent. Errors: kNotFound it is not in the store.
  virtual Awaitable<> PrepareImage(Digest image) = 0;
  /// Idempotent. Errors: kConflict a container uses it.
  virtual Awaitable<> RemoveImage(Digest image) = 0;

  /// Removes what is held or made ahead; what runs stays. Nothing is asked of it afterwards.
  virtual Awaitable<> Close() = 0;

  /// Called once for each started container that ends by itself. Not called for DestroySandbox.
  virtual void OnExit(std::function<void(const SandboxExit&)> handler) = 0;
};

}  // namespace hybridserve
