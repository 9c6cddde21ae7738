// RuntimeError: what a container runtime means by its words. Runtimes give their failures no codes.
//
// Thread rule: pure functions.
#pragma once

#include <string_view>

#include "base/result.h"

namespace hybridserve {

/// kInvalidArgument: the program cannot be run: it is missing, not executable, or no program.
/// kInternal otherwise.
Code CodeOfRuntimeError(std::string_view message);

}  // namespace hybridserve
