// One invocation with Wasmtime's own WASI, as its own command runs it.
#include <vector>

#include "executors/common/judge.h"
#include "executors/wasmtime/wasmtime_config.h"
#include "executors/wasmtime/wasmtime_engine.h"

namespace hybridserve {
namespace {

using WasiConfigPtr = std::unique_ptr<wasi_config_t, Deleter<wasi_config_delete>>;

constexpr size_t kMaxTraceFrames = 8;
constexpr uint64_t kNever = 1ull << 62;  // Epochs; none comes.

std::vector<const char*> Pointers(const std::vector<std::string>& list) {
  std::vector<const char*> pointers;
  for (const std::string& text : list) pointers.push_back(text.c_str());
  return pointers;
}

Result<WasiConfigPtr> MakeWasi(const OwnWasiRun& run) {
  WasiConfigPtr wasi(wasi_config_new());
  wasi_config_inherit_stdin(wasi.get());
  wasi_config_inherit_stdout(wasi.get());
  wasi_config_inherit_stderr(wasi.get());
  std::vector<const char*> arguments = Pointers(run.arguments);
  std::vector<std::string> names;
  std::vector<std::string> values;
  for (const std::string& variable : run.environment) {
    const size_t equals = variable.find('=');
    names.push_back(variable.substr(0, equals));
    values.push_back(variable.substr(equals + 1));
  }
  std::vector<const char*> name_pointers = Pointers(names);
  std::vector<const char*> value_pointers = Pointers(values);
  if (!wasi_config_set_argv(wasi.get(), arguments.size(), arguments.data()) ||
      !wasi_config_set_env(wasi.get(), names.size(), name_pointers.data(), value_pointers.data())) {
    return Fail(Code::kInvalidArgument, "an argument or a variable is not UTF-8");
  }
  for (const OwnWasiRun::Folder& folder : run.folders) {
    if (!wasi_config_preopen_dir(wasi.get(), folder.host.c_str(), folder.guest.c_str(),
                                 folder.writable)) {
      return Fail(Code::kInvalidArgument, "Wasmtime cannot open the folder " + folder.host);
    }
  }
  return wasi;
}

Result<ModulePtr> MakeModule(wasm_engine_t* engine, const OwnWasiRun& run) {
  wasmtime_module_t* raw = nullptr;
  const ErrorPtr error(run.mode == Mode::kAot
                           ? hybridserve_module_deserialize_fd(
                                 engine, UniqueFd(::dup(run.code.get())).Release(), &raw)
                           : wasmtime_module_new(engine,
                                                 reinterpret_cast<const uint8_t*>(run.wasm.data()),
                                                 run.wasm.size(), &raw));
  if (error) return Fail(Code::kInvalidArgument, OneLine(error.get()));
  return ModulePtr(raw);
}

RunResult Judge(const wasmtime_error_t* error, const wasm_trap_t* trap) {
  int status = 0;
  if (error != nullptr && wasmtime_error_exit_status(error, &status)) {
    return ExitedWith(static_cast<uint32_t>(status));
  }
  if (error == nullptr && trap == nullptr) return {.kind = OutcomeKind::kDone};
  return {.kind = OutcomeKind::kTrap, .message = Describe(error, trap, kMaxTraceFrames)};
}

}  // namespace

Result<RunResult> RunWithWasmtimeWasi(const EngineOptions& options, const OwnWasiRun& run) {
  TRY_ASSIGN(ConfigPtr config, MakeWasmtimeConfig(options));
  const EnginePtr engine(wasm_engine_new_with_config(config.release()));
  if (!engine) return Fail(Code::kInternal, "cannot make a Wasmtime engine");
  TRY_ASSIGN(const ModulePtr module, MakeModule(engine.get(), run));
  TRY_ASSIGN(WasiConfigPtr wasi, MakeWasi(run));
  const LinkerPtr linker(wasmtime_linker_new(engine.get()));
  const ErrorPtr undefined(wasmtime_linker_define_wasi(linker.get()));
  if (undefined) return Fail(Code::kInternal, OneLine(undefined.get()));
  const StorePtr store(wasmtime_store_new(engine.get(), nullptr, nullptr));
  wasmtime_context_t* context = wasmtime_store_context(store.get());
  wasmtime_context_set_epoch_deadline(context, kNever);
  const ErrorPtr refused(wasmtime_context_set_wasi(context, wasi.release()));
  if (refused) return Fail(Code::kInternal, OneLine(refused.get()));

  const auto began = SteadyClock::now();
  wasmtime_instance_t instance;
  wasm_trap_t* trap = nullptr;
  ErrorPtr error(
      wasmtime_linker_instantiate(linker.get(), context, module.get(), &instance, &trap));
  const auto instantiated = SteadyClock::now();
  if (!error && trap == nullptr) {
    wasmtime_extern_t start;
    if (!wasmtime_instance_export_get(context, &instance, "_start", 6, &start) ||
        start.kind != WASMTIME_EXTERN_FUNC) {
      return Fail(Code::kInvalidArgument, "the module exports no function _start");
    }
    error.reset(wasmtime_func_call(context, &start.of.func, nullptr, 0, nullptr, 0, &trap));
  }
  const TrapPtr trapped(trap);
  const auto ended = SteadyClock::now();
  RunResult result = Judge(error.get(), trapped.get());
  result.instantiate = instantiated - began;
  result.run = ended - instantiated;
  return result;
}

}  // namespace hybridserve
