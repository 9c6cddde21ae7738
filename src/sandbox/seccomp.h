// Seccomp: system-call filters, compiled once to BPF and then installed in microseconds.
//
// Each filter is an allow-list for the machine's own architecture: other architectures' calls end
// the process, calls newer than what the list was written for fail with ENOSYS (so that a libc
// falls back to an older one), and everything else not listed fails with EPERM.
//
// Thread rule: compile anywhere; Install acts on the whole process.
#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <vector>

#include "base/result.h"

namespace hybridserve::sandbox {

enum class Filter : uint8_t {
  /// A container's program: stricter than Docker's default list for a container without
  /// capabilities (seccomp_lists.cc says what is left out beyond it).
  kContainer,
  /// kContainer and what Lockdown() needs: for a jailed program's start.
  kProgram,
  kExecutor,  ///< Profile::kExecutor of lockdown.h.
  kJob,       ///< Profile::kJob.
  kUnpack,    ///< Profile::kUnpack.
  kServer,    ///< Profile::kServer; of the process that compiles it: it names its own pid.
};

using BpfProgram = std::vector<sock_filter>;

/// About a millisecond. Errors: kInternal libseccomp refused.
Result<BpfProgram> CompileFilter(Filter filter);

/// Whether the kernel's log names the calls that a filter refuses (type=1326, where the kernel was
/// built with auditing; sysctl kernel.seccomp.actions_logged has errno).
enum class LogRefused { kNo, kYes };

/// Needs no_new_privs. Holds for every thread of the process and all it starts.
/// Errors: kConflict another thread has a different filter; kInternal.
Result<> InstallFilter(const BpfProgram& program, LogRefused log = LogRefused::kNo);

}  // namespace hybridserve::sandbox
