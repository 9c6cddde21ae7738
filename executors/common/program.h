// EngineProgram: what an engine's jailed program is made of, and the verbs that all of them have.
//
//   serve --threads N [--compiler C] [--keep-resident BYTES] [--scratch]
//                           descriptor 3: data socket, 4: control socket
//                           (wasm/executor_protocol.h), 5 with --scratch: an empty folder in which
//                           guests' /tmp are made
//   compile [--compiler C] [--memory-limit BYTES] [--scratch]
//                           descriptor 3: a .wasm file, 4: where the native code goes, 5 with
//                           --scratch: an empty folder for the compiler's own files; prints
//                           "memory_minimum_bytes=N". Exit status 2 and a sentence on standard
//                           error when the module cannot be a function.
//   fingerprint [--compiler C]
//                           prints what native code depends on beyond the module, in one line
//   describe                prints what the engine is and can, as JSON
//   self-test [--compiler C]
//                           compiles and runs a module in each mode; prints how it went, as JSON
//   run [options] FILE [ARGUMENT...]
//                           one process, one invocation (one_shot.h)
//
// All take --no-lockdown: stay outside the jail, for tests.
//
// Thread rule: RunEngineProgram is called once, from the main thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "executors/common/engine.h"

namespace hybridserve {

/// One way in which an engine translates modules.
struct CompilerInfo {
  std::string_view name;     ///< As manifests name it: "cranelift".
  bool interpreter = false;  ///< Its code is not native.
};

/// One invocation with the engine's own WASI, on the process's descriptors 0, 1 and 2.
struct OwnWasiRun {
  std::string_view wasm;  ///< The module.
  UniqueFd code;          ///< Of Compile, where the mode is kAot.
  Mode mode = Mode::kAot;
  std::vector<std::string> arguments;    ///< The first is the program's name.
  std::vector<std::string> environment;  ///< "NAME=VALUE".
  struct Folder {
    std::string host;
    std::string guest;
    bool writable = false;
  };
  std::vector<Folder> folders;
};

struct EngineProgram {
  std::string_view name;                ///< "wasmtime"
  std::string version;                  ///< Of the engine.
  std::vector<CompilerInfo> compilers;  ///< The first is the default.
  std::vector<Mode> modes;              ///< Those that some compiler has.
  std::string_view deadline;            ///< How a guest is ended at its deadline, a sentence.
  Result<std::unique_ptr<Engine>> (*make)(const EngineOptions&) = nullptr;
  /// All that native code depends on beyond the module: version, target, CPU features, options. One
  /// line without spaces around it.
  std::string (*fingerprint)(std::string_view compiler) = nullptr;
  /// Runs as the engine's own command does. nullptr: it has no WASI of its own here.
  /// Errors: those of Load and LoadWasm.
  Result<RunResult> (*run_own_wasi)(const EngineOptions&, const OwnWasiRun&) = nullptr;

  [[nodiscard]] const CompilerInfo* FindCompiler(std::string_view compiler) const;
  /// Whether the engine has the mode with this compiler: an interpreter has kInterpreter alone, a
  /// compiler all the others.
  [[nodiscard]] bool Has(const CompilerInfo& compiler, Mode mode) const;
};

/// "aot", "jit", "jit-cache", "interpreter".
std::string_view ModeName(Mode mode);
Result<Mode> ParseMode(std::string_view name);

/// Errors: kInvalidArgument the engine has none of this name; the message names those it has.
Result<> CheckCompiler(const EngineProgram& program, std::string_view compiler);

/// The whole program. Returns its exit status.
int RunEngineProgram(const EngineProgram& program, int argc, char** argv);

}  // namespace hybridserve
