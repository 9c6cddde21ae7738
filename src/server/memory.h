// Memory of the machine and of processes, for defaults and metrics.
//
// Thread rule: any thread.
#pragma once

#include <sys/types.h>

#include <cstdint>

namespace hybridserve {

/// The machine's memory; 0 when it cannot be read.
uint64_t MachineMemoryBytes();
/// A process's resident memory, what it shares with others included; 0 when it cannot be read.
uint64_t ResidentBytes(pid_t pid);

}  // namespace hybridserve
