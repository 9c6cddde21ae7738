// hybridserve-executor-wasmtime: runs guests in Wasmtime, jailed. Started by the launcher; the
// verbs are those of executors/common/program.h.
#include "executors/wasmtime/shim.h"
#include "executors/wasmtime/wasmtime_engine.h"

int main(int argc, char** argv) {
  using hybridserve::Mode;
  const hybridserve::EngineProgram program = {
      .name = "wasmtime",
      .version = WASMTIME_VERSION,
      .compilers = {{"cranelift"}, {"winch"}, {"pulley", true}},
      .modes = {Mode::kAot, Mode::kJit, Mode::kJitCache, Mode::kInterpreter},
      .deadline = "the guest looks at its deadline when the epoch moves; others go on",
      .make = hybridserve::MakeWasmtimeEngine,
      .fingerprint = hybridserve::WasmtimeFingerprint,
      .run_own_wasi = hybridserve::RunWithWasmtimeWasi,
  };
  return hybridserve::RunEngineProgram(program, argc, argv);
}
