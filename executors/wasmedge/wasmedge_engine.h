// The WasmEdge engine, over its C API.
//
// An instance is made for each run and runs on a stack of its own (guest_thread.h), because
// WasmEdge's native code neither checks its stack nor its deadline. What is compiled is WasmEdge's
// "universal" file, a module with a custom section of native code. A module that comes from outside
// is stripped of custom sections before WasmEdge sees it: WasmEdge would run such a section.
//
// Its just-in-time compiler cannot be reached through its C API: LoadWasm compiles ahead of time, in
// memory, and loads that.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "executors/common/engine.h"
#include "executors/common/program.h"

namespace hybridserve {

/// Compilers: "llvm", and "interpreter". keep_resident_bytes does not count: instances keep nothing.
/// Errors: kInternal the engine could not be made.
Result<std::unique_ptr<Engine>> MakeWasmEdgeEngine(const EngineOptions& options);

/// Of the library that is loaded: "0.14.1".
std::string WasmEdgeVersion();
/// See EngineProgram.
std::string WasmEdgeFingerprint(std::string_view compiler);
Result<RunResult> RunWithWasmEdgeWasi(const EngineOptions& options, const OwnWasiRun& run);

}  // namespace hybridserve
