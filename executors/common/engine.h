// Engine: what each Wasm engine implements inside its jail. One thread runs one invocation.
//
// Split by lifetime: an Engine lives as long as the process, a Module as long as the function's
// code is loaded, an instance for one Run. An engine's own header is known in its folder alone.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"
#include "executors/common/wasi.h"
#include "wasm/executor_protocol.h"

namespace hybridserve {

/// How a module becomes something that runs.
enum class Mode : uint8_t {
  kAot,          ///< Native code, or an interpreter's own form, made before, by Compile.
  kJit,          ///< Translated in the process that runs it.
  kJitCache,     ///< The same, through the engine's own cache on disk.
  kInterpreter,  ///< Not translated to native code.
};

struct EngineOptions {
  std::string compiler;   ///< One of the engine's (program.h).
  uint32_t threads = 32;  ///< Instances at once.
  /// Of each instance's memory, what it wrote and stays resident for the next one; where an engine
  /// can do that.
  uint64_t keep_resident_bytes = 1u << 20;
  std::string cache_folder;  ///< Of the engine's own cache (kJitCache); empty: none.
  /// A descriptor of an empty folder to write in, for a compiler that works on files; stays the
  /// caller's. -1: none, such a compiler then compiles nothing.
  int scratch_folder = -1;
};

/// How one run ended. The guest's output and log are in its Wasi.
struct RunResult {
  OutcomeKind kind = OutcomeKind::kInternal;
  uint32_t exit_status = 0;
  std::string message;  ///< For kTrap and kInternal: the engine's words and the first frames.
  std::chrono::nanoseconds instantiate{};
  std::chrono::nanoseconds run{};
  uint64_t peak_memory_bytes = 0;
};

/// One function's native code, mapped. Run may be called from several threads at once.
class Module {
 public:
  virtual ~Module() = default;
  /// Runs `_start` in a fresh instance. `wasi` has begun its invocation, and so has its guard.
  virtual RunResult Run(wasi::Wasi& wasi) = 0;
};

/// Thread rule: any thread.
class Engine {
 public:
  virtual ~Engine() = default;

  /// Native code of a core module, as Load takes it.
  /// Errors: kInvalidArgument, what is wrong with the module.
  virtual Result<std::string> Compile(std::string_view wasm) = 0;
  /// Maps native code that Compile of the same engine made; `code` stays unchanged while mapped.
  /// An instance's memories together never hold more than `memory_limit_bytes`.
  /// Errors: kCorrupt it is not such code.
  virtual Result<std::unique_ptr<Module>> Load(UniqueFd code, uint64_t memory_limit_bytes) = 0;
  /// Translates a core module in this process: JIT, through the engine's own cache where the
  /// options name a folder; or, with an interpreter, whatever it interprets. `wasm` outlives the
  /// module. Errors: kInvalidArgument, what is wrong with the module; kUnsupported.
  virtual Result<std::unique_ptr<Module>> LoadWasm(std::string_view wasm,
                                                   uint64_t memory_limit_bytes) = 0;
  /// Makes every running guest look at its Guard soon.
  virtual void Interrupt() = 0;
};

}  // namespace hybridserve
