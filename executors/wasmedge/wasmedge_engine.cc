#include "executors/wasmedge/wasmedge_engine.h"

#include <algorithm>
#include <chrono>
#include <mutex>
#include <vector>

#include "executors/common/cpu_features.h"
#include "executors/common/judge.h"
#include "executors/wasmedge/guest_thread.h"
#include "executors/wasmedge/stoppable_executor.h"
#include "executors/wasmedge/wasmedge_code.h"
#include "executors/wasmedge/wasmedge_imports.h"
#include "wasm/module_info.h"

namespace hybridserve {
namespace {

using std::chrono::duration_cast;
using std::chrono::nanoseconds;

// What the modules of an engine share.
class Host {
 public:
  explicit Host(bool interpreter)
      : interpreter_(interpreter),
        config_(MakeWasmEdgeConfig(interpreter)),
        executor_(WasmEdge_ExecutorCreate(config_.get(), nullptr)),
        store_(WasmEdge_StoreCreate()),
        imports_(MakeWasmEdgeImports()) {}
  Result<> Register() {
    if (imports_ != nullptr && WasmEdge_ResultOK(WasmEdge_ExecutorRegisterImport(
                                   executor_.get(), store_.get(), imports_.get()))) {
      return {};
    }
    return Fail(Code::kInternal, "cannot offer WASI preview 1 to WasmEdge");
  }
  [[nodiscard]] bool interpreter() const { return interpreter_; }
  [[nodiscard]] const WasmEdge_ConfigureContext* config() const { return config_.get(); }
  [[nodiscard]] WasmEdge_StoreContext* store() const { return store_.get(); }
  [[nodiscard]] WasmEdge_ExecutorContext* executor() const { return executor_.get(); }

  std::unique_ptr<StoppableExecutor> TakeStoppable() {
    {
      const std::lock_guard lock(mutex_);
      if (!idle_.empty()) {
        auto executor = std::move(idle_.back());
        idle_.pop_back();
        return executor;
      }
    }
    return std::make_unique<StoppableExecutor>(config_.get(), nothing_);
  }
  void GiveBack(std::unique_ptr<StoppableExecutor> executor) {
    if (executor->stopped()) return;
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(executor));
  }

 private:
  bool interpreter_;
  WasmEdgeConfig config_;
  WasmEdgeExecutor executor_;
  WasmEdgeStore store_;
  WasmEdgeInstance imports_;
  NothingFunction nothing_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<StoppableExecutor>> idle_;  // Guarded by mutex_.
};

class WasmEdgeModule : public Module {
 public:
  WasmEdgeModule(Host& host, WasmEdgeAst ast, uint64_t minimum_bytes, uint64_t memory_limit_bytes)
      : host_(host),
        ast_(std::move(ast)),
        minimum_bytes_(minimum_bytes),
        memory_limit_bytes_(memory_limit_bytes) {}

  RunResult Run(wasi::Wasi& wasi) override;

 private:
  // How the engine's calls ended.
  struct Ended {
    WasmEdge_Result result{};
    SteadyClock::time_point instantiated;
    bool no_start = false;
  };
  Ended Execute(WasmEdge_ExecutorContext* executor, GuestRun& run) const;
  static RunResult JudgeRun(const Ended& ended, const GuestRun& run);

  Host& host_;
  WasmEdgeAst ast_;
  uint64_t minimum_bytes_;
  uint64_t memory_limit_bytes_;
};

RunResult WasmEdgeModule::Run(wasi::Wasi& wasi) {
  if (const auto end = EndOf(wasi.guard())) return {.kind = *end};
  // WasmEdge would go on with a memory that it could not have.
  if (minimum_bytes_ > memory_limit_bytes_) {
    return {.kind = OutcomeKind::kMemoryLimit,
            .message = "the module's memory is larger than its limit when it starts"};
  }
  GuestRun run{.wasi = &wasi, .memory_limit_bytes = memory_limit_bytes_};
  std::unique_ptr<StoppableExecutor> stoppable;
  if (host_.interpreter()) {
    stoppable = host_.TakeStoppable();
    run.interrupt = [&stoppable] { stoppable->Stop(); };
  }
  WasmEdge_ExecutorContext* executor = stoppable ? stoppable->get() : host_.executor();
  Ended ended;
  const auto began = SteadyClock::now();
  RunOnGuestStack(run, [&] { ended = Execute(executor, run); });
  const auto now = SteadyClock::now();
  RunResult result = JudgeRun(ended, run);
  result.instantiate = duration_cast<nanoseconds>(ended.instantiated - began);
  result.run = duration_cast<nanoseconds>(now - ended.instantiated);
  result.peak_memory_bytes = run.memory_used_bytes;
  if (stoppable) host_.GiveBack(std::move(stoppable));
  return result;
}

WasmEdgeModule::Ended WasmEdgeModule::Execute(WasmEdge_ExecutorContext* executor,
                                              GuestRun& run) const {
  Ended ended;
  WasmEdge_ModuleInstanceContext* raw = nullptr;
  ended.result = WasmEdge_ExecutorInstantiate(executor, &raw, host_.store(), ast_.get());
  const WasmEdgeInstance instance(raw);
  ended.instantiated = SteadyClock::now();
  if (!WasmEdge_ResultOK(ended.result) || instance == nullptr) return ended;
  const WasmEdge_FunctionInstanceContext* start =
      WasmEdge_ModuleInstanceFindFunction(instance.get(), ToWasmEdge("_start"));
  ended.no_start = start == nullptr;
  if (start != nullptr) {
    run.calling = true;
    ended.result = WasmEdge_ExecutorInvoke(executor, start, nullptr, 0, nullptr, 0);
  }
  return ended;
}

RunResult WasmEdgeModule::JudgeRun(const Ended& ended, const GuestRun& run) {
  if (ended.no_start) {
    return {.kind = OutcomeKind::kInternal, .message = "the module exports no function _start"};
  }
  const bool failed = ended.result.Code != WasmEdge_Result_Success.Code;
  return Judge(*run.wasi, failed, run.memory_refused,
               [&] { return DescribeTrap(ended.result, run.stack_exhausted); });
}

class WasmEdgeEngine : public Engine {
 public:
  WasmEdgeEngine(const EngineOptions& options, bool interpreter)
      : host_(interpreter),
        fingerprint_(WasmEdgeFingerprint(options.compiler)),
        scratch_folder_(options.scratch_folder) {}
  Result<> Start() { return host_.Register(); }

  Result<std::string> Compile(std::string_view wasm) override {
    TRY_ASSIGN(const std::string module, Translate(wasm));
    return MakeCodeFile(fingerprint_, module);
  }

  Result<std::unique_ptr<Module>> Load(UniqueFd code, uint64_t memory_limit_bytes) override {
    TRY_ASSIGN(const CodeFile file, CodeFile::Open(code.get(), fingerprint_));
    auto loaded = LoadTranslated(file.module(), memory_limit_bytes);
    if (!loaded) {
      return Fail(Code::kCorrupt, "cannot load native code: " + loaded.error().message);
    }
    return loaded;
  }

  Result<std::unique_ptr<Module>> LoadWasm(std::string_view wasm,
                                           uint64_t memory_limit_bytes) override {
    TRY_ASSIGN(const std::string module, Translate(wasm));
    return LoadTranslated(module, memory_limit_bytes);
  }

  void Interrupt() override { InterruptGuests(); }

 private:
  // What LoadTranslated takes: a module of our own making.
  Result<std::string> Translate(std::string_view wasm) {
    TRY_ASSIGN(std::string stripped, StripCustomSections(wasm));
    TRY_ASSIGN(const ModuleInfo info, ReadModuleInfo(stripped));
    if (std::ranges::any_of(info.memories, &WasmMemory::shared)) {
      return Fail(Code::kInvalidArgument, "shared memory needs threads, and there are none");
    }
    TRY_ASSIGN(const WasmEdgeAst ast, ParseModule(host_.config(), stripped));
    TRY(CheckTypes(ast.get()));
    if (host_.interpreter()) return stripped;
    return CompileToNative(host_.config(), stripped, scratch_folder_);
  }

  Result<std::unique_ptr<Module>> LoadTranslated(std::string_view module,
                                                 uint64_t memory_limit_bytes) {
    TRY_ASSIGN(const ModuleInfo info, ReadModuleInfo(module));
    TRY_ASSIGN(WasmEdgeAst ast, ParseModule(host_.config(), module));
    return std::make_unique<WasmEdgeModule>(host_, std::move(ast), info.MinimumMemoryBytes(),
                                            memory_limit_bytes);
  }

  Host host_;
  std::string fingerprint_;
  int scratch_folder_;
};

}  // namespace

Result<std::unique_ptr<Engine>> MakeWasmEdgeEngine(const EngineOptions& options) {
  WasmEdge_LogOff();
  InstallGuestSignals();
  auto engine = std::make_unique<WasmEdgeEngine>(options, options.compiler == "interpreter");
  TRY(engine->Start());
  return engine;
}

std::string WasmEdgeVersion() { return WasmEdge_VersionGet(); }

std::string WasmEdgeFingerprint(std::string_view compiler) {
  // The last word is raised when MakeWasmEdgeConfig changes what the compiler emits.
  return "wasmedge/" + WasmEdgeVersion() + "/build-" HS_WASMEDGE_BUILD "/" + TargetAndCpu() + "/" +
         std::string(compiler) + "/options-1";
}

}  // namespace hybridserve
