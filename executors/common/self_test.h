// SelfTest: whether a compiler of an engine really runs a guest on this machine, in each mode.
//
// Thread rule: called once, from the main thread.
#pragma once

#include "base/result.h"
#include "executors/common/program.h"

namespace hybridserve {

/// Prints a JSON list of {"mode", "ok", "error"}. `compiler` is one of the program's. Returns the
/// exit status: 0 when all modes work, 1 when one does not.
Result<int> SelfTest(const EngineProgram& program, std::string_view compiler);

}  // namespace hybridserve
