// hybridserve-executor-wasmer: runs guests in Wasmer, jailed. Started by the launcher; the verbs are
// those of executors/common/program.h.
#include "executors/wasmer/wasmer_engine.h"

int main(int argc, char** argv) {
  using hybridserve::Mode;
  const hybridserve::EngineProgram program = {
      .name = "wasmer",
      .version = hybridserve::WasmerVersion(),
      .compilers = hybridserve::WasmerCompilers(),
      .modes = {Mode::kAot, Mode::kJit, Mode::kJitCache},
      .deadline = "a signal to the guest's thread ends it; others go on",
      .make = hybridserve::MakeWasmerEngine,
      .fingerprint = hybridserve::WasmerFingerprint,
      .run_own_wasi = hybridserve::RunWithWasmerWasi,
  };
  return hybridserve::RunEngineProgram(program, argc, argv);
}
