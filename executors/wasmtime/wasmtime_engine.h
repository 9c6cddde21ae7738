// The Wasmtime engine, over its C API and the few functions of our crate.
//
// Instances come from a pool: memories and tables are reserved once and reset between runs, and a
// module's initial memory is mapped copy-on-write. Guests are interrupted by the epoch, which only
// moves when some guest has to look at its Guard.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "executors/common/engine.h"

namespace hybridserve {

struct WasmtimeOptions {
  uint32_t threads = 32;  ///< Instances at once.
  /// Of each instance's memory, what it wrote and stays resident for the next one. Only where the
  /// kernel tells which pages were written; else less is kept.
  uint64_t keep_resident_bytes = 1u << 20;
};

/// Errors: kInternal the engine could not be made.
Result<std::unique_ptr<Engine>> MakeWasmtimeEngine(const WasmtimeOptions& options);

/// All that native code depends on beyond the module: version, target, CPU features, options. One
/// line without spaces around it.
std::string WasmtimeFingerprint();

}  // namespace hybridserve
