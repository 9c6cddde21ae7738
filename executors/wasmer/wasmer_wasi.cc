// One invocation with Wasmer's own WASI, as its own command runs it.
#include <unistd.h>

#include <vector>

#include "executors/common/judge.h"
#include "executors/wasmer/wasmer_engine.h"
#include "executors/wasmer/wasmer_types.h"

namespace hybridserve {
namespace {

std::vector<hybridserve_wasmer_view> Views(const std::vector<std::string>& list) {
  std::vector<hybridserve_wasmer_view> views;
  for (const std::string& text : list) views.push_back(View(text));
  return views;
}

}  // namespace

Result<RunResult> RunWithWasmerWasi(const EngineOptions& options, const OwnWasiRun& run) {
  if (run.mode != Mode::kAot) TRY(PrepareCompiler(options));
  const std::vector<hybridserve_wasmer_view> arguments = Views(run.arguments);
  const std::vector<hybridserve_wasmer_view> environment = Views(run.environment);
  std::vector<hybridserve_wasmer_folder> folders;
  for (const OwnWasiRun::Folder& folder : run.folders) {
    folders.push_back({View(folder.host), View(folder.guest), folder.writable});
  }
  const bool cached = run.mode == Mode::kJitCache;
  const hybridserve_wasmer_command command = {
      .compiler = View(options.compiler),
      .wasm = View(run.wasm),
      .code = run.mode == Mode::kAot ? ::dup(run.code.get()) : -1,
      .cache_folder = View(cached ? std::string_view(options.cache_folder) : std::string_view()),
      .arguments = arguments.data(),
      .argument_count = arguments.size(),
      .environment = environment.data(),
      .environment_count = environment.size(),
      .folders = folders.data(),
      .folder_count = folders.size()};
  hybridserve_wasmer_ending ending{};
  const WasmerText error(hybridserve_wasmer_run_command(&command, &ending));
  if (error) return Fail(Code::kInvalidArgument, error.get());
  const WasmerText trap(ending.trap);
  RunResult result = trap ? RunResult{.kind = OutcomeKind::kTrap, .message = trap.get()}
                          : ExitedWith(ending.exit_status);
  result.run = std::chrono::nanoseconds(ending.run_ns);
  return result;
}

}  // namespace hybridserve
