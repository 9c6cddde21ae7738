// One invocation with WasmEdge's own WASI, as its own command runs it.
#include <vector>

#include "executors/common/judge.h"
#include "executors/wasmedge/guest_thread.h"
#include "executors/wasmedge/stoppable_executor.h"
#include "executors/wasmedge/wasmedge_code.h"
#include "executors/wasmedge/wasmedge_engine.h"

namespace hybridserve {
namespace {

using std::chrono::duration_cast;
using std::chrono::nanoseconds;

std::vector<const char*> Pointers(const std::vector<std::string>& list) {
  std::vector<const char*> pointers;
  for (const std::string& text : list) pointers.push_back(text.c_str());
  return pointers;
}

uint32_t Count(const std::vector<const char*>& list) { return static_cast<uint32_t>(list.size()); }

WasmEdgeInstance MakeWasi(const OwnWasiRun& run) {
  std::vector<std::string> folders;
  for (const OwnWasiRun::Folder& folder : run.folders) {
    folders.push_back(folder.guest + ":" + folder.host + (folder.writable ? "" : ":readonly"));
  }
  const auto arguments = Pointers(run.arguments);
  const auto environment = Pointers(run.environment);
  const auto preopens = Pointers(folders);
  return WasmEdgeInstance(WasmEdge_ModuleInstanceCreateWASI(
      arguments.data(), Count(arguments), environment.data(), Count(environment), preopens.data(),
      Count(preopens)));
}

// The module as WasmEdge loads it: ours, or stripped and, for its compiler, compiled.
Result<std::string> ModuleOf(const EngineOptions& options, const WasmEdge_ConfigureContext* config,
                             const OwnWasiRun& run) {
  if (run.mode == Mode::kAot) {
    TRY_ASSIGN(const CodeFile file,
               CodeFile::Open(run.code.get(), WasmEdgeFingerprint(options.compiler)));
    return std::string(file.module());
  }
  TRY_ASSIGN(std::string stripped, StripCustomSections(run.wasm));
  if (run.mode == Mode::kInterpreter) return stripped;
  TRY(ParseModule(config, stripped));
  return CompileToNative(config, stripped, options.scratch_folder);
}

RunResult JudgeRun(WasmEdge_Result result, const GuestRun& run, uint32_t status) {
  if (result.Code == WasmEdge_Result_Success.Code) return {.kind = OutcomeKind::kDone};
  if (result.Code == WasmEdge_Result_Terminate.Code) return ExitedWith(status);
  return {.kind = OutcomeKind::kTrap, .message = DescribeTrap(result, run.stack_exhausted)};
}

}  // namespace

Result<RunResult> RunWithWasmEdgeWasi(const EngineOptions& options, const OwnWasiRun& run) {
  WasmEdge_LogOff();
  InstallGuestSignals();
  const WasmEdgeConfig config = MakeWasmEdgeConfig(run.mode == Mode::kInterpreter);
  TRY_ASSIGN(const std::string module, ModuleOf(options, config.get(), run));
  TRY_ASSIGN(const WasmEdgeAst ast, ParseModule(config.get(), module));
  const WasmEdgeStore store(WasmEdge_StoreCreate());
  const NothingFunction nothing;
  // An endless recursion in the interpreter is stopped, too (guest_thread.h).
  StoppableExecutor executor(config.get(), nothing);
  const WasmEdgeInstance wasi = MakeWasi(run);
  if (wasi == nullptr || !WasmEdge_ResultOK(WasmEdge_ExecutorRegisterImport(
                             executor.get(), store.get(), wasi.get()))) {
    return Fail(Code::kInternal, "WasmEdge offers no WASI");
  }

  GuestRun guest{.memory_limit_bytes = UINT64_MAX};
  guest.calling = true;
  if (run.mode == Mode::kInterpreter) guest.interrupt = [&executor] { executor.Stop(); };
  WasmEdge_Result ended{};
  bool no_start = false;
  const auto began = SteadyClock::now();
  auto instantiated = began;
  RunOnGuestStack(guest, [&] {
    WasmEdge_ModuleInstanceContext* raw = nullptr;
    ended = WasmEdge_ExecutorInstantiate(executor.get(), &raw, store.get(), ast.get());
    const WasmEdgeInstance instance(raw);
    instantiated = SteadyClock::now();
    if (!WasmEdge_ResultOK(ended) || instance == nullptr) return;
    const auto* start = WasmEdge_ModuleInstanceFindFunction(instance.get(), ToWasmEdge("_start"));
    no_start = start == nullptr;
    if (start == nullptr) return;
    ended = WasmEdge_ExecutorInvoke(executor.get(), start, nullptr, 0, nullptr, 0);
  });
  const auto now = SteadyClock::now();
  if (no_start) return Fail(Code::kInvalidArgument, "the module exports no function _start");
  RunResult result = JudgeRun(ended, guest, WasmEdge_ModuleInstanceWASIGetExitCode(wasi.get()));
  result.instantiate = duration_cast<nanoseconds>(instantiated - began);
  result.run = duration_cast<nanoseconds>(now - instantiated);
  result.peak_memory_bytes = guest.memory_used_bytes;
  return result;
}

}  // namespace hybridserve
