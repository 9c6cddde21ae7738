// PageOut: moves what stopped processes have in memory to the machine's swap. What they share with
// others, and what is backed by files, stays: the kernel takes that by itself when it needs room.
//
// Thread rule: free functions; safe from any thread.
#pragma once

#include <sys/types.h>

#include <vector>

#include "base/result.h"

namespace hybridserve::sandbox {

/// Whether the operator has given the machine any swap (/proc/swaps).
bool HasSwap();

/// Asks the kernel to reclaim the process's private memory now (process_madvise(2), MADV_PAGEOUT).
/// Its pages are in swap then, and the kernel takes their room when it next needs some.
/// Blocks for as long as that takes. Errors: kNotFound it has ended; kForbidden;
/// kUnsupported a kernel before 5.10.
Result<> PageOut(pid_t pid);
/// The same for each, although some may have ended. Errors: of the last that could not.
Result<> PageOutAll(const std::vector<pid_t>& pids);

}  // namespace hybridserve::sandbox
