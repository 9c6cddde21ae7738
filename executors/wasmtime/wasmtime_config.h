// What an engine of Wasmtime is configured to: compiler, limits, pool, cache.
//
// Thread rule: any thread.
#pragma once

#include "base/result.h"
#include "executors/common/engine.h"
#include "executors/wasmtime/wasmtime_types.h"

namespace hybridserve {

/// Of all instances of a module together, and of each instance.
inline constexpr size_t kMaxTableElements = 1u << 18;

/// Cranelift and Winch compile to native code, "pulley" to the bytecode of Wasmtime's interpreter.
/// What one engine compiles another of the same compiler can map.
/// Errors: kInternal the folder of the engine's own cache cannot be used.
Result<ConfigPtr> MakeWasmtimeConfig(const EngineOptions& options);

}  // namespace hybridserve
