// CpuFeatures: what native code depends on of this machine, for an engine's fingerprint.
//
// Thread rule: any thread.
#pragma once

#include <string>

namespace hybridserve {

/// "x86_64-linux/cpu-DIGEST": the target and a digest of the processor's feature words; nothing
/// that differs between the cores of one machine.
std::string TargetAndCpu();

}  // namespace hybridserve
