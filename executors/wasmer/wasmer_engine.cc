#include "executors/wasmer/wasmer_engine.h"

#include <chrono>
#include <utility>

#include "executors/common/cpu_features.h"
#include "executors/common/judge.h"
#include "executors/wasmer/llvm_library.h"
#include "executors/wasmer/running_guests.h"
#include "executors/wasmer/wasmer_types.h"

namespace hybridserve {
namespace {

constexpr std::string_view kCompilers[] = {"cranelift", "singlepass", "llvm"};

static_assert(wasi::kStop == HYBRIDSERVE_WASMER_STOP);

uint32_t CallHost(void* run, size_t function, uint8_t* memory, uint64_t memory_size,
                  const uint64_t* arguments) {
  auto& wasi = *static_cast<wasi::Wasi*>(run);
  const wasi::HostFunction& called = wasi::HostFunctions()[function];
  return (wasi.*called.call)(GuestMemory(memory, memory_size), arguments);
}

const hybridserve_wasmer_host& Host() {
  static const std::vector<hybridserve_wasmer_function> functions = [] {
    std::vector<hybridserve_wasmer_function> list;
    for (const wasi::HostFunction& function : wasi::HostFunctions()) {
      list.push_back({View(function.name), View(function.parameters), function.returns});
    }
    return list;
  }();
  static const hybridserve_wasmer_host host{View(wasi::kModuleName), functions.data(),
                                            functions.size(), CallHost};
  return host;
}

class WasmerModule : public Module {
 public:
  WasmerModule(WasmerModulePtr module, uint64_t memory_limit_bytes, RunningGuests& guests)
      : module_(std::move(module)), memory_limit_bytes_(memory_limit_bytes), guests_(guests) {}

  RunResult Run(wasi::Wasi& wasi) override;

 private:
  static RunResult Execute(wasi::Wasi& wasi, hybridserve_wasmer_store* store);

  WasmerModulePtr module_;
  uint64_t memory_limit_bytes_;
  RunningGuests& guests_;
};

RunResult WasmerModule::Run(wasi::Wasi& wasi) {
  const WasmerStorePtr store(
      hybridserve_wasmer_store_new(module_.get(), memory_limit_bytes_, &wasi));
  RunResult result;
  {
    const RunningGuests::Guest running(guests_, store.get(), wasi.guard());
    result = Execute(wasi, store.get());
  }
  result.peak_memory_bytes = hybridserve_wasmer_store_usage(store.get()).memory_bytes;
  return result;
}

RunResult WasmerModule::Execute(wasi::Wasi& wasi, hybridserve_wasmer_store* store) {
  if (const auto end = EndOf(wasi.guard())) return {.kind = *end};
  const auto began = SteadyClock::now();
  WasmerText failure(hybridserve_wasmer_store_instantiate(store));
  const auto instantiated = SteadyClock::now();
  if (!failure) {
    bool found = false;
    failure.reset(hybridserve_wasmer_store_start(store, &found));
    if (!found) {
      return {.kind = OutcomeKind::kInternal, .message = "the module exports no function _start"};
    }
  }
  const auto ended = SteadyClock::now();
  RunResult result = Judge(wasi, failure != nullptr, hybridserve_wasmer_store_usage(store).refused,
                           [&failure] { return std::string(failure.get()); });
  result.instantiate = instantiated - began;
  result.run = ended - instantiated;
  return result;
}

class WasmerEngine : public Engine {
 public:
  explicit WasmerEngine(EngineOptions options) : options_(std::move(options)) {}

  Result<std::string> Compile(std::string_view wasm) override {
    TRY(PrepareCompiler(options_));
    hybridserve_wasmer_bytes bytes{};
    const WasmerText error(
        hybridserve_wasmer_compile(View(options_.compiler), View(wasm), &Host(), &bytes));
    if (error) return Fail(Code::kInvalidArgument, error.get());
    std::string code(reinterpret_cast<const char*>(bytes.data), bytes.size);
    hybridserve_wasmer_bytes_free(bytes);
    return code;
  }

  Result<std::unique_ptr<Module>> Load(UniqueFd code, uint64_t memory_limit_bytes) override {
    hybridserve_wasmer_module* module = nullptr;
    const WasmerText error(hybridserve_wasmer_load(code.Release(), &Host(), &module));
    if (error) {
      return Fail(Code::kCorrupt, std::string("cannot load native code: ") + error.get());
    }
    return Ready(module, memory_limit_bytes);
  }

  Result<std::unique_ptr<Module>> LoadWasm(std::string_view wasm,
                                           uint64_t memory_limit_bytes) override {
    TRY(PrepareCompiler(options_));
    hybridserve_wasmer_module* module = nullptr;
    const WasmerText error(hybridserve_wasmer_translate(
        View(options_.compiler), View(wasm), View(options_.cache_folder), &Host(), &module));
    if (error) return Fail(Code::kInvalidArgument, error.get());
    return Ready(module, memory_limit_bytes);
  }

  void Interrupt() override { guests_.Interrupt(); }

 private:
  std::unique_ptr<Module> Ready(hybridserve_wasmer_module* module, uint64_t memory_limit_bytes) {
    guests_.Start();
    return std::make_unique<WasmerModule>(WasmerModulePtr(module), memory_limit_bytes, guests_);
  }

  EngineOptions options_;
  RunningGuests guests_;
};

}  // namespace

Result<> PrepareCompiler(const EngineOptions& options) {
  return options.compiler == "llvm" ? LoadLlvm() : Result<>();
}

Result<std::unique_ptr<Engine>> MakeWasmerEngine(const EngineOptions& options) {
  if (!hybridserve_wasmer_has(View(options.compiler))) {
    return Fail(Code::kInvalidArgument, "Wasmer has no compiler '" + options.compiler + "' here");
  }
  return std::make_unique<WasmerEngine>(options);
}

std::vector<CompilerInfo> WasmerCompilers() {
  std::vector<CompilerInfo> list;
  for (const std::string_view compiler : kCompilers) {
    if (hybridserve_wasmer_has(View(compiler))) list.push_back({.name = compiler});
  }
  return list;
}

std::string WasmerVersion() { return hybridserve_wasmer_version(); }

std::string WasmerFingerprint(std::string_view compiler) {
  // The last word is raised when the shim changes what a compiler emits.
  return "wasmer/" + WasmerVersion() + "/build-" HS_WASMER_BUILD "/" + TargetAndCpu() + "/" +
         std::string(compiler) + "/options-1";
}

}  // namespace hybridserve
