// Namespaces: what both kinds of first process, a container's and a jailed program's, enter.
//
// Thread rule: the child's only thread.
#pragma once

#include <vector>

#include "base/result.h"

namespace hybridserve::sandbox {

/// Writes itself into the groups behind `join_fds` (Cgroup::join_fds) and takes its own network,
/// mounts, host name, IPC and view of the cgroups. The loopback interface is up afterwards, and no
/// mount made from now on is seen outside.
Result<> EnterNamespaces(const std::vector<int>& join_fds);

}  // namespace hybridserve::sandbox
