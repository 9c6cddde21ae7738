// Owners of the C API's objects, and their words as C++ strings.
//
// Thread rule: like the objects they own.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/deleter.h"
#include "executors/wasmtime/shim.h"

namespace hybridserve {

using ConfigPtr = std::unique_ptr<wasm_config_t, Deleter<wasm_config_delete>>;
using EnginePtr = std::unique_ptr<wasm_engine_t, Deleter<wasm_engine_delete>>;
using PoolingPtr = std::unique_ptr<wasmtime_pooling_allocation_config_t,
                                   Deleter<wasmtime_pooling_allocation_config_delete>>;
using LinkerPtr = std::unique_ptr<wasmtime_linker_t, Deleter<wasmtime_linker_delete>>;
using ModulePtr = std::unique_ptr<wasmtime_module_t, Deleter<wasmtime_module_delete>>;
using InstancePrePtr =
    std::unique_ptr<wasmtime_instance_pre_t, Deleter<wasmtime_instance_pre_delete>>;
using StorePtr = std::unique_ptr<wasmtime_store_t, Deleter<wasmtime_store_delete>>;
using ErrorPtr = std::unique_ptr<wasmtime_error_t, Deleter<wasmtime_error_delete>>;
using TrapPtr = std::unique_ptr<wasm_trap_t, Deleter<wasm_trap_delete>>;
using FuncTypePtr = std::unique_ptr<wasm_functype_t, Deleter<wasm_functype_delete>>;

/// A function type from letters: i for i32, I for i64; it returns an i32 or nothing.
FuncTypePtr MakeFuncType(std::string_view parameters, bool returns_i32);

/// Whether the module exports a function `_start` without parameters and results.
bool IsCommand(const wasmtime_module_t* module);

/// An error's words on one line, its causes joined by ": ".
std::string OneLine(const wasmtime_error_t* error);

/// What a trap or error says, and the innermost `max_frames` functions: "wasm trap: ... at a < b".
std::string Describe(const wasmtime_error_t* error, const wasm_trap_t* trap, size_t max_frames);

}  // namespace hybridserve
