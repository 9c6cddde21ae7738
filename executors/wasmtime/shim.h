// The functions that our crate (shim/src/lib.rs) adds to Wasmtime's C API.
#pragma once

#include <stdint.h>
#include <wasmtime.h>

#ifdef __cplusplus
extern "C" {
#endif

/// wasmtime_module_deserialize_file for an open descriptor, which it takes over.
wasmtime_error_t* hybridserve_module_deserialize_fd(const wasm_engine_t* engine, int32_t fd,
                                                    wasmtime_module_t** out);

/// How much one instance may hold, over all its memories together, and what it holds.
typedef struct hybridserve_budget_t {
  uint64_t memory_limit_bytes;
  uint64_t memory_used_bytes;
  uint64_t table_limit_elements;
  uint64_t table_used_elements;
  bool refused;  ///< A memory or table was refused, at the start or in a growth.
} hybridserve_budget_t;

/// Bounds what instances of `store` may hold. `budget` outlives the store.
void hybridserve_store_set_budget(wasmtime_store_t* store, hybridserve_budget_t* budget);

/// Lets the pool ask the kernel which pages a guest wrote. Returns whether that works here: it
/// needs Linux 6.7 and /proc/self/pagemap, now and when the engine is made.
bool hybridserve_pooling_pagemap_scan(wasmtime_pooling_allocation_config_t* config);

#ifdef __cplusplus
}
#endif
