#include "executors/wasmtime/wasmtime_config.h"

#include "base/file.h"

namespace hybridserve {
namespace {

constexpr size_t kMaxWasmStackBytes = 1u << 20;
constexpr uint32_t kMaxMemoriesPerModule = 8;
constexpr uint32_t kMaxTablesPerModule = 4;
constexpr size_t kMaxMemoryBytes = 4ull << 30;
constexpr size_t kMaxInstanceBytes = 4u << 20;
// How much of an instance's memory is cleared by hand after a run and stays resident; the rest goes
// back to the kernel, which costs page faults and TLB shootdowns. Measured with a 24 KB C program:
// 10 us a request where the kernel tells which pages were written, since only those are cleared;
// else 17 us, and more would be cleared for nothing (docs/decisions/0004-wasm-executor.md).
constexpr size_t kKeepBlindly = 256 * 1024;

PoolingPtr MakePool(const EngineOptions& options) {
  PoolingPtr pooling(wasmtime_pooling_allocation_config_new());
  auto* pool = pooling.get();
  const uint32_t instances = options.threads;
  wasmtime_pooling_allocation_config_total_core_instances_set(pool, instances);
  wasmtime_pooling_allocation_config_total_memories_set(pool,
                                                        instances * (kMaxMemoriesPerModule + 1));
  wasmtime_pooling_allocation_config_total_gc_heaps_set(pool, instances);  // Each in a memory.
  wasmtime_pooling_allocation_config_total_tables_set(pool, instances * kMaxTablesPerModule);
  wasmtime_pooling_allocation_config_max_memories_per_module_set(pool, kMaxMemoriesPerModule);
  wasmtime_pooling_allocation_config_max_tables_per_module_set(pool, kMaxTablesPerModule);
  wasmtime_pooling_allocation_config_table_elements_set(pool, kMaxTableElements);
  wasmtime_pooling_allocation_config_max_memory_size_set(pool, kMaxMemoryBytes);
  wasmtime_pooling_allocation_config_max_core_instance_size_set(pool, kMaxInstanceBytes);
  wasmtime_pooling_allocation_config_max_unused_warm_slots_set(pool, instances);
  const size_t keep =
      hybridserve_pooling_pagemap_scan(pool) ? options.keep_resident_bytes : kKeepBlindly;
  wasmtime_pooling_allocation_config_linear_memory_keep_resident_set(pool, keep);
  wasmtime_pooling_allocation_config_table_keep_resident_set(pool, kKeepBlindly);
  return pooling;
}

// The engine's own cache of what it compiles, in a folder; told by a file, as its command is.
Result<> UseCache(wasm_config_t* config, const std::string& folder) {
  const TemporaryFolder temporary;
  const std::string file = temporary.path() / "cache.toml";
  TRY(WriteFileAtomically(file, "[cache]\ndirectory = \"" + folder + "\"\n"));
  const ErrorPtr error(wasmtime_config_cache_config_load(config, file.c_str()));
  if (!error) return {};
  return Fail(Code::kInvalidArgument,
              "Wasmtime cannot keep its cache in " + folder + ": " + OneLine(error.get()));
}

}  // namespace

Result<ConfigPtr> MakeWasmtimeConfig(const EngineOptions& options) {
  ConfigPtr config(wasm_config_new());
  wasmtime_config_strategy_set(config.get(), options.compiler == "winch"
                                                 ? WASMTIME_STRATEGY_WINCH
                                                 : WASMTIME_STRATEGY_CRANELIFT);
  if (options.compiler == "pulley") {
    const ErrorPtr error(wasmtime_config_target_set(config.get(), "pulley64"));
    if (error) return Fail(Code::kUnsupported, "Wasmtime has no Pulley: " + OneLine(error.get()));
  }
  wasmtime_config_cranelift_opt_level_set(config.get(), WASMTIME_OPT_LEVEL_SPEED);
  wasmtime_config_epoch_interruption_set(config.get(), true);
  wasmtime_config_max_wasm_stack_set(config.get(), kMaxWasmStackBytes);
  wasmtime_config_memory_init_cow_set(config.get(), true);
  wasmtime_config_native_unwind_info_set(config.get(), false);
  wasmtime_pooling_allocation_strategy_set(config.get(), MakePool(options).get());
  if (!options.cache_folder.empty()) TRY(UseCache(config.get(), options.cache_folder));
  return config;
}

}  // namespace hybridserve
