// ContainerInit: what runs inside a sandbox until the image's program takes its place.
//
// Thread rule: the child's only thread.
#pragma once

#include <vector>

#include "sandbox/seccomp.h"

namespace hybridserve::sandbox {

struct InitContext {
  int control;                ///< The socket to the launcher.
  std::vector<int> join_fds;  ///< Cgroup::join_fds().
  const BpfProgram* filter;   ///< Filter::kContainer.
};

/// Prepares the sandbox, says kHeld, waits for a program and runs it. Returns only when that
/// failed, after saying why; the value is the exit status.
int RunContainerInit(const InitContext& context);

}  // namespace hybridserve::sandbox
