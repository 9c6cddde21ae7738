// Jail: runs one of our own programs (an executor, a compile, an unpack) walled in.
//
// The jail is complete before the program's first instruction: its own user and namespaces, no
// network, no capability but the ones named, limits, no_new_privs, a system-call filter. The mount
// tree shows the system's libraries, and a program's own, read-only, because the dynamic loader needs
// them; the
// program's Lockdown() takes that away too, and narrows the filter, before it reads a byte that it
// must not trust (lockdown.h, docs/decisions/0003-executor-jail.md).
//
// Thread rule: one thread, of a process that has no other.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "sandbox/cgroup.h"
#include "sandbox/privileges.h"
#include "sandbox/process.h"
#include "sandbox/seccomp.h"

namespace hybridserve::sandbox {

/// How much of the jail this machine and user allow.
enum class Isolation : uint8_t {
  kNamespaces,  ///< All of it (cgroups apart).
  kNone,        ///< No user namespaces: no_new_privs, filter and limits only.
};

struct JailSpec {
  UniqueFd program;  ///< Opened with O_PATH.
  std::string host_name;
  std::vector<std::string> argv;
  std::vector<std::string> environment;  ///< "NAME=value"; nothing else is inherited.
  std::vector<int> fds;                  ///< Become 3, 4, ...
  std::string libraries;    ///< A folder that the program's loader looks into besides the system's,
                            ///< shown at its own path; empty: none.
  UniqueFd libraries_tree;  ///< The same as a detached mount, where the program's user could not
                            ///< reach the path; else invalid.
  uint64_t scratch_bytes = 0;  ///< Of a tmpfs of its own, the next descriptor after `fds`;
                               ///< 0: none. Only with Isolation::kNamespaces.
  int output = -1;                       ///< Becomes stdout and stderr.
  IdMapping users;                       ///< Of its user namespace; it runs as user 0 in it,
  IdMapping groups;                      ///< and as group 0.
  SetGroups set_groups = SetGroups::kAllow;
  Capabilities capabilities = 0;  ///< Over its own namespaces, besides what Lockdown() needs.
  ResourceLimits limits;
  const BpfProgram* filter = nullptr;  ///< Filter::kProgram compiled.
  Cgroup* cgroup = nullptr;            ///< May be null.
  Isolation isolation = Isolation::kNamespaces;
};

/// Starts the program. A step that fails inside ends the child with status 126 and one line on
/// `output`.
Result<Child> StartJailed(const JailSpec& spec);

/// Whether this process can make the jail's namespaces. Tried, not guessed.
Isolation ProbeIsolation();

}  // namespace hybridserve::sandbox
