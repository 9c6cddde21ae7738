// The Wasmer engine, over our library of it (shim.h).
//
// Each module has a Wasmer engine of its own, since native code is freed with its engine alone. An
// instance has memories of its own, mapped when it is made and unmapped when it ends; nothing is
// kept from one to the next. Guests are interrupted by a signal to their thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "executors/common/engine.h"
#include "executors/common/program.h"

namespace hybridserve {

/// Compilers: see WasmerCompilers. `threads` and keep_resident_bytes change nothing.
/// Errors: kInvalidArgument there is no such compiler.
Result<std::unique_ptr<Engine>> MakeWasmerEngine(const EngineOptions& options);

/// Before anything is compiled.
/// Errors: kUnsupported the compiler needs LLVM, which cannot be loaded.
Result<> PrepareCompiler(const EngineOptions& options);

/// See EngineProgram. LLVM is among the compilers where it was there when Wasmer was built.
std::vector<CompilerInfo> WasmerCompilers();
std::string WasmerVersion();
std::string WasmerFingerprint(std::string_view compiler);
Result<RunResult> RunWithWasmerWasi(const EngineOptions& options, const OwnWasiRun& run);

}  // namespace hybridserve
