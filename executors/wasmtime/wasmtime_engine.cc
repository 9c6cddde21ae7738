#include "executors/wasmtime/wasmtime_engine.h"

#include <array>
#include <chrono>

#include "executors/common/cpu_features.h"
#include "executors/common/judge.h"
#include "executors/wasmtime/wasmtime_config.h"

namespace hybridserve {
namespace {

constexpr size_t kMaxTraceFrames = 8;

// What one run's host functions reach through the store's data.
struct RunState {
  wasi::Wasi* wasi = nullptr;
  wasmtime_memory_t memory{};
  bool has_memory = false;
};

// The guest's exported memory "memory", looked up once a run.
GuestMemory MemoryOf(RunState& state, wasmtime_context_t* context, wasmtime_caller_t* caller) {
  if (!state.has_memory) {
    wasmtime_extern_t item;
    if (!wasmtime_caller_export_get(caller, "memory", 6, &item)) return {};
    if (item.kind == WASMTIME_EXTERN_MEMORY) {
      state.memory = item.of.memory;
      state.has_memory = true;
    }
    wasmtime_extern_delete(&item);
    if (!state.has_memory) return {};
  }
  return {wasmtime_memory_data(context, &state.memory),
          wasmtime_memory_data_size(context, &state.memory)};
}

// Calls the host function that `env` names with the guest's arguments.
wasm_trap_t* CallHost(void* env, wasmtime_caller_t* caller, wasmtime_val_raw_t* values,
                      size_t /*count*/) {
  const auto& function = *static_cast<const wasi::HostFunction*>(env);
  wasmtime_context_t* context = wasmtime_caller_context(caller);
  auto& state = *static_cast<RunState*>(wasmtime_context_get_data(context));
  std::array<uint64_t, wasi::kMaxParameters> arguments;
  for (size_t i = 0; i < function.parameters.size(); ++i) {
    arguments[i] = function.parameters[i] == 'I' ? static_cast<uint64_t>(values[i].i64)
                                                 : static_cast<uint32_t>(values[i].i32);
  }
  const GuestMemory memory = MemoryOf(state, context, caller);
  const uint32_t result = (state.wasi->*function.call)(memory, arguments.data());
  if (result == wasi::kStop) return wasmtime_trap_new("stopped", 7);
  if (function.returns) values[0].i32 = static_cast<int32_t>(result);
  return nullptr;
}

// Called in a running guest when the epoch has moved.
wasmtime_error_t* OnEpoch(wasmtime_context_t* /*context*/, void* data, uint64_t* delta,
                          wasmtime_update_deadline_kind_t* kind) {
  *delta = 1;
  *kind = WASMTIME_UPDATE_DEADLINE_CONTINUE;
  const auto& guard = *static_cast<const Guard*>(data);
  return guard.Check() == Stop::kNo ? nullptr : wasmtime_error_new("interrupted");
}

LinkerPtr MakeLinker(wasm_engine_t* engine) {
  LinkerPtr linker(wasmtime_linker_new(engine));
  for (const wasi::HostFunction& function : wasi::HostFunctions()) {
    const FuncTypePtr type = MakeFuncType(function.parameters, function.returns);
    const ErrorPtr error(wasmtime_linker_define_func_unchecked(
        linker.get(), wasi::kModuleName.data(), wasi::kModuleName.size(), function.name.data(),
        function.name.size(), type.get(), CallHost,
        const_cast<void*>(static_cast<const void*>(&function)), nullptr));
    if (error) return nullptr;
  }
  return linker;
}

class WasmtimeModule : public Module {
 public:
  WasmtimeModule(wasm_engine_t* engine, InstancePrePtr instance_pre, uint64_t memory_limit_bytes)
      : engine_(engine),
        instance_pre_(std::move(instance_pre)),
        memory_limit_bytes_(memory_limit_bytes) {}

  RunResult Run(wasi::Wasi& wasi) override;

 private:
  RunResult Execute(wasi::Wasi& wasi, wasmtime_store_t* store, hybridserve_budget_t& budget);

  wasm_engine_t* engine_;
  InstancePrePtr instance_pre_;
  uint64_t memory_limit_bytes_;
};

RunResult WasmtimeModule::Run(wasi::Wasi& wasi) {
  RunState state{.wasi = &wasi};
  hybridserve_budget_t budget{.memory_limit_bytes = memory_limit_bytes_,
                              .table_limit_elements = kMaxTableElements};
  const StorePtr store(wasmtime_store_new(engine_, &state, nullptr));
  hybridserve_store_set_budget(store.get(), &budget);
  wasmtime_store_epoch_deadline_callback(store.get(), OnEpoch, &wasi.guard(), nullptr);
  RunResult result = Execute(wasi, store.get(), budget);
  result.peak_memory_bytes = budget.memory_used_bytes;
  return result;
}

RunResult WasmtimeModule::Execute(wasi::Wasi& wasi, wasmtime_store_t* store,
                                  hybridserve_budget_t& budget) {
  wasmtime_context_t* context = wasmtime_store_context(store);
  wasmtime_context_set_epoch_deadline(context, 1);
  // Looked at after the deadline is set: an interrupt that came before is seen here, a later one
  // moves the epoch.
  ErrorPtr error;
  TrapPtr trapped;
  const auto began = SteadyClock::now();
  if (const auto end = EndOf(wasi.guard())) return {.kind = *end};

  wasmtime_instance_t instance;
  wasm_trap_t* trap = nullptr;
  error.reset(wasmtime_instance_pre_instantiate(instance_pre_.get(), context, &instance, &trap));
  trapped.reset(trap);
  const auto instantiated = SteadyClock::now();
  if (!error && !trapped) {
    wasmtime_extern_t start;
    if (!wasmtime_instance_export_get(context, &instance, "_start", 6, &start) ||
        start.kind != WASMTIME_EXTERN_FUNC) {
      return {.kind = OutcomeKind::kInternal, .message = "the module exports no function _start"};
    }
    trap = nullptr;
    error.reset(wasmtime_func_call_unchecked(context, &start.of.func, nullptr, 0, &trap));
    trapped.reset(trap);
  }
  const auto ended = SteadyClock::now();
  RunResult result = Judge(wasi, error || trapped, budget.refused, [&error, &trapped] {
    return Describe(error.get(), trapped.get(), kMaxTraceFrames);
  });
  result.instantiate = instantiated - began;
  result.run = ended - instantiated;
  return result;
}

class WasmtimeEngine : public Engine {
 public:
  WasmtimeEngine(EnginePtr engine, LinkerPtr linker)
      : engine_(std::move(engine)), linker_(std::move(linker)) {}

  Result<std::string> Compile(std::string_view wasm) override {
    TRY_ASSIGN(const ModulePtr module, Translate(wasm));
    // What Load would refuse is refused here, where it can be told to whoever deploys.
    wasmtime_instance_pre_t* pre = nullptr;
    const ErrorPtr unlinked(wasmtime_linker_instantiate_pre(linker_.get(), module.get(), &pre));
    const InstancePrePtr linked(pre);
    if (unlinked) return Fail(Code::kInvalidArgument, OneLine(unlinked.get()));
    TRY(CheckStart(*module));
    wasm_byte_vec_t bytes;
    const ErrorPtr failed(wasmtime_module_serialize(module.get(), &bytes));
    if (failed) return Fail(Code::kInternal, OneLine(failed.get()));
    std::string code(bytes.data, bytes.size);
    wasm_byte_vec_delete(&bytes);
    return code;
  }

  Result<std::unique_ptr<Module>> Load(UniqueFd code, uint64_t memory_limit_bytes) override {
    wasmtime_module_t* raw = nullptr;
    const ErrorPtr error(hybridserve_module_deserialize_fd(engine_.get(), code.Release(), &raw));
    if (error) return Fail(Code::kCorrupt, "cannot load native code: " + OneLine(error.get()));
    const ModulePtr module(raw);
    auto linked = Link(*module, memory_limit_bytes);
    if (!linked) return Fail(Code::kCorrupt, "cannot link: " + linked.error().message);
    return linked;
  }

  Result<std::unique_ptr<Module>> LoadWasm(std::string_view wasm,
                                           uint64_t memory_limit_bytes) override {
    TRY_ASSIGN(const ModulePtr module, Translate(wasm));
    TRY(CheckStart(*module));
    return Link(*module, memory_limit_bytes);
  }

  void Interrupt() override { wasmtime_engine_increment_epoch(engine_.get()); }

 private:
  static Result<> CheckStart(const wasmtime_module_t& module) {
    if (IsCommand(&module)) return {};
    return Fail(Code::kInvalidArgument,
                "the module's function _start takes parameters or returns something; that of a "
                "command does neither");
  }

  Result<ModulePtr> Translate(std::string_view wasm) {
    wasmtime_module_t* raw = nullptr;
    const ErrorPtr error(wasmtime_module_new(
        engine_.get(), reinterpret_cast<const uint8_t*>(wasm.data()), wasm.size(), &raw));
    if (error) return Fail(Code::kInvalidArgument, OneLine(error.get()));
    return ModulePtr(raw);
  }

  Result<std::unique_ptr<Module>> Link(const wasmtime_module_t& module,
                                       uint64_t memory_limit_bytes) {
    wasmtime_instance_pre_t* pre = nullptr;
    const ErrorPtr error(wasmtime_linker_instantiate_pre(linker_.get(), &module, &pre));
    if (error) return Fail(Code::kInvalidArgument, OneLine(error.get()));
    return std::make_unique<WasmtimeModule>(engine_.get(), InstancePrePtr(pre), memory_limit_bytes);
  }

  EnginePtr engine_;
  LinkerPtr linker_;
};

}  // namespace

Result<std::unique_ptr<Engine>> MakeWasmtimeEngine(const EngineOptions& options) {
  TRY_ASSIGN(ConfigPtr config, MakeWasmtimeConfig(options));
  EnginePtr engine(wasm_engine_new_with_config(config.release()));
  if (!engine) return Fail(Code::kInternal, "cannot make a Wasmtime engine");
  LinkerPtr linker = MakeLinker(engine.get());
  if (!linker) return Fail(Code::kInternal, "cannot offer WASI preview 1 to Wasmtime");
  return std::make_unique<WasmtimeEngine>(std::move(engine), std::move(linker));
}

std::string WasmtimeFingerprint(std::string_view compiler) {
  // The last word is raised when MakeWasmtimeConfig changes what the compiler emits.
  return std::string("wasmtime/" WASMTIME_VERSION "/build-" HS_WASMTIME_BUILD "/") +
         TargetAndCpu() + "/" + std::string(compiler) + "/options-1";
}

}  // namespace hybridserve
