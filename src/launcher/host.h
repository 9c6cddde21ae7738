// Host: what this machine and user let the launcher do, found out once at the start by trying.
//
// Thread rule: one thread; opened before anything runs.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"
#include "launcher/messages.h"
#include "launcher/runtime_choice.h"
#include "launcher/state_folder.h"
#include "sandbox/cgroup.h"
#include "sandbox/jail.h"
#include "sandbox/seccomp.h"

namespace hybridserve::launcher {

struct Host {
  bool root = false;
  sandbox::Isolation isolation = sandbox::Isolation::kNone;
  std::unique_ptr<sandbox::CgroupTree> cgroups;  ///< nullptr: no limits but rlimits.
  sandbox::BpfProgram container_filter;
  sandbox::BpfProgram program_filter;
  RuntimeChoice runtime;  ///< What makes this node's containers.
  LauncherAbilities abilities;
};

/// As root, first leaves the host's mount namespace for a private copy, so that nothing mounted
/// from now on outlives this process. What the machine lacks is no error: `abilities` says it.
/// `wanted` is the runtime the operator chose, and `address` where it is; empty: the usual place.
Result<Host> ExamineHost(const StateFolder& state, ContainerRuntimeKind wanted,
                         const std::filesystem::path& address);

}  // namespace hybridserve::launcher
