// Memory of the machine and of this process, for defaults and metrics.
//
// Thread rule: any thread.
#pragma once

#include <cstdint>

namespace hybridserve {

/// The machine's memory; 0 when it cannot be read.
uint64_t MachineMemoryBytes();
/// This process's resident memory; 0 when it cannot be read.
uint64_t OwnResidentBytes();

}  // namespace hybridserve
