// The Wasmtime engine, over its C API and the few functions of our crate.
//
// Instances come from a pool: memories and tables are reserved once and reset between runs, and a
// module's initial memory is mapped copy-on-write. Guests are interrupted by the epoch, which only
// moves when some guest has to look at its Guard.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "executors/common/engine.h"
#include "executors/common/program.h"

namespace hybridserve {

/// Compilers: "cranelift", "winch", and "pulley", the interpreter. keep_resident_bytes counts only
/// where the kernel tells which pages were written; else less is kept.
/// Errors: kInternal the engine could not be made; kInvalidArgument its cache folder.
Result<std::unique_ptr<Engine>> MakeWasmtimeEngine(const EngineOptions& options);

/// See EngineProgram.
std::string WasmtimeFingerprint(std::string_view compiler);
Result<RunResult> RunWithWasmtimeWasi(const EngineOptions& options, const OwnWasiRun& run);

}  // namespace hybridserve
