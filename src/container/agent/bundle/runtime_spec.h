// RuntimeSpec: what an OCI runtime is told of one container, as JSON.
//
// It gives the container what our own sandboxes give theirs (sandbox/container_init.cc): namespaces
// of its own but for the network, which is made before it; no capabilities; the same system calls;
// runc's masked and read-only paths; no /sys. Its user ids are the host's, as with these runtimes'
// defaults, but no file of the host can be reached.
//
// Source: OCI Runtime Specification 1.0.2, config.md and config-linux.md.
//
// Thread rule: pure functions.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "launcher/messages.h"

namespace hybridserve {

/// Where the parts of a container are that exist before it.
struct RuntimeSpecPlaces {
  std::filesystem::path rootfs;   ///< Mounted, with folders proc, dev, tmp and run.
  std::filesystem::path scratch;  ///< On a file system of disk_bytes: tmp, run and shm.
  std::filesystem::path network;  ///< A network namespace.
  std::string cgroup;             ///< Below each controller's root: "/NAME".
  uint64_t open_files = 1024;     ///< RLIMIT_NOFILE; no more than the runtime's own.
  bool swap_is_counted = false;   ///< The kernel can limit memory and swap together.
};

std::string MakeRuntimeSpec(const SandboxSpec& spec, const RuntimeSpecPlaces& places);

}  // namespace hybridserve
