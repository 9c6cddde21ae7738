// hybridserve-executor-wasmer: runs guests in Wasmer, jailed. Started by the launcher; the verbs
// are those of executors/common/program.h.
#include <algorithm>
#include <cstdio>
#include <span>
#include <string_view>

#include "executors/wasmer/llvm_library.h"
#include "executors/wasmer/wasmer_engine.h"

namespace {

// That verb closes the jail before it makes the engine.
bool CompilesWithLlvm(std::span<char* const> words) {
  const auto has = [words](std::string_view word) {
    return std::ranges::find(words, word) != words.end();
  };
  return has("compile") && has("llvm");
}

}  // namespace

int main(int argc, char** argv) {
  using hybridserve::Mode;
  if (CompilesWithLlvm({argv, static_cast<size_t>(argc)})) {
    const hybridserve::Result<> loaded = hybridserve::LoadLlvm();
    if (!loaded) {
      (void)std::fprintf(stderr, "%s\n", loaded.error().message.c_str());
      return hybridserve::ExitCode(loaded.error().code);
    }
  }
  const hybridserve::EngineProgram program = {
      .name = "wasmer",
      .version = hybridserve::WasmerVersion(),
      .compilers = hybridserve::WasmerCompilers(),
      .modes = {Mode::kAot, Mode::kJit, Mode::kJitCache},
      .deadline =
          "the guest ends when it calls the host, or by a signal to its thread; others go on",
      .make = hybridserve::MakeWasmerEngine,
      .fingerprint = hybridserve::WasmerFingerprint,
      .run_own_wasi = hybridserve::RunWithWasmerWasi,
  };
  return hybridserve::RunEngineProgram(program, argc, argv);
}
