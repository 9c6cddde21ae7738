// LLVM, which the library of Wasmer calls, is loaded only by what compiles with it: the shared
// library takes 50 MB of memory and 10 ms, and native code runs without it. So the functions that
// Wasmer calls are defined here; each jumps to LLVM's once that is loaded.
//
// Thread rule: one thread at a time. A process that the launcher jailed calls LoadLlvm before it
// closes the jail (sandbox/lockdown.h), which hides the library.
#pragma once

#include "base/result.h"

namespace hybridserve {

/// Does nothing when it is loaded already.
/// Errors: kUnsupported Wasmer was built without LLVM, or it is not installed or another one.
Result<> LoadLlvm();

}  // namespace hybridserve
