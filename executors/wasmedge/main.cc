// hybridserve-executor-wasmedge: runs guests in WasmEdge, jailed. Started by the launcher; the verbs
// are those of executors/common/program.h.
#include "executors/wasmedge/wasmedge_engine.h"

int main(int argc, char** argv) {
  using hybridserve::Mode;
  const hybridserve::EngineProgram program = {
      .name = "wasmedge",
      .version = hybridserve::WasmEdgeVersion(),
      .compilers = {{"llvm"}, {"interpreter", true}},
      .modes = {Mode::kAot, Mode::kJit, Mode::kInterpreter},
      .deadline = "a signal ends the guest in its native code, the interpreter looks at each branch; "
                  "the process ends where neither does within 2 s, and others with it",
      .make = hybridserve::MakeWasmEdgeEngine,
      .fingerprint = hybridserve::WasmEdgeFingerprint,
      .run_own_wasi = hybridserve::RunWithWasmEdgeWasi,
  };
  return hybridserve::RunEngineProgram(program, argc, argv);
}
