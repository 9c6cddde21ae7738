// The Wasmer engine as our static library (shim/) offers it: everything of Wasmer lies behind these
// functions.
//
// What fails returns a sentence, to be freed with hybridserve_wasmer_text_free, else a null
// pointer.
// A panic in the library ends the process.
//
// Thread rule: any thread, but a store is used by one thread at a time, except for
// hybridserve_wasmer_store_interrupt.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Characters without a zero at the end.
typedef struct hybridserve_wasmer_view {
  const char* data;
  size_t size;
} hybridserve_wasmer_view;

/// To be freed with hybridserve_wasmer_bytes_free.
typedef struct hybridserve_wasmer_bytes {
  uint8_t* data;
  size_t size;
} hybridserve_wasmer_bytes;

typedef struct hybridserve_wasmer_function {
  hybridserve_wasmer_view name;
  hybridserve_wasmer_view parameters;  ///< A letter each: i for i32, I for i64. At most 16.
  bool returns;                        ///< An i32.
} hybridserve_wasmer_function;

/// The functions that guests can import, all of one module.
typedef struct hybridserve_wasmer_host {
  hybridserve_wasmer_view module;
  const hybridserve_wasmer_function* functions;
  size_t count;
  /// Calls a function by its number. `memory` is the guest's exported memory "memory", or null;
  /// valid during the call. `run` is what the store was made with. What is returned is the
  /// function's result; HYBRIDSERVE_WASMER_STOP ends the guest instead.
  uint32_t (*call)(void* run, size_t function, uint8_t* memory, uint64_t memory_size,
                   const uint64_t* arguments);
} hybridserve_wasmer_host;

#define HYBRIDSERVE_WASMER_STOP 0xffffffffu

typedef struct hybridserve_wasmer_usage {
  uint64_t memory_bytes;  ///< The most that its memories held together.
  bool refused;           ///< A memory or table was refused.
} hybridserve_wasmer_usage;

typedef struct hybridserve_wasmer_module hybridserve_wasmer_module;
typedef struct hybridserve_wasmer_store hybridserve_wasmer_store;

void hybridserve_wasmer_text_free(char* text);
void hybridserve_wasmer_bytes_free(hybridserve_wasmer_bytes bytes);

/// "7.4.2"
const char* hybridserve_wasmer_version(void);
/// Whether the library was built with this compiler: "cranelift", "singlepass", "llvm".
bool hybridserve_wasmer_has(hybridserve_wasmer_view compiler);

/// Makes native code, as hybridserve_wasmer_load takes it. Fails when the module is wrong, imports
/// what the host has not, or has no `_start` without parameters and results.
char* hybridserve_wasmer_compile(hybridserve_wasmer_view compiler, hybridserve_wasmer_view wasm,
                                 const hybridserve_wasmer_host* host,
                                 hybridserve_wasmer_bytes* code);
/// Loads native code from a descriptor, which it takes over. `host` outlives the module.
char* hybridserve_wasmer_load(int fd, const hybridserve_wasmer_host* host,
                              hybridserve_wasmer_module** module);
/// Translates in this process; through Wasmer's own cache in `cache_folder` unless that is empty.
/// `host` outlives the module.
char* hybridserve_wasmer_translate(hybridserve_wasmer_view compiler, hybridserve_wasmer_view wasm,
                                   hybridserve_wasmer_view cache_folder,
                                   const hybridserve_wasmer_host* host,
                                   hybridserve_wasmer_module** module);
void hybridserve_wasmer_module_delete(hybridserve_wasmer_module* module);

/// What one instance lives in, whose memories together hold at most that. `module` and `run`
/// outlive it.
hybridserve_wasmer_store* hybridserve_wasmer_store_new(const hybridserve_wasmer_module* module,
                                                       uint64_t memory_limit_bytes, void* run);
void hybridserve_wasmer_store_delete(hybridserve_wasmer_store* store);
/// Makes the instance, with its start function.
char* hybridserve_wasmer_store_instantiate(hybridserve_wasmer_store* store);
/// Calls `_start` of the instance. `found` tells whether there is one.
char* hybridserve_wasmer_store_start(hybridserve_wasmer_store* store, bool* found);
/// Makes the guest end at its next call of the host; from the second time on, by a signal (SIGUSR1)
/// to its thread if it runs its own code now. So call it again, a millisecond later, until the
/// guest has ended. From any thread.
void hybridserve_wasmer_store_interrupt(const hybridserve_wasmer_store* store);
hybridserve_wasmer_usage hybridserve_wasmer_store_usage(const hybridserve_wasmer_store* store);

typedef struct hybridserve_wasmer_folder {
  hybridserve_wasmer_view host;
  hybridserve_wasmer_view guest;
  bool writable;
} hybridserve_wasmer_folder;

typedef struct hybridserve_wasmer_command {
  hybridserve_wasmer_view compiler;
  hybridserve_wasmer_view wasm;
  int code;  ///< Native code to load, which is taken over; -1: translate.
  hybridserve_wasmer_view cache_folder;
  const hybridserve_wasmer_view* arguments;  ///< The first is the program's name.
  size_t argument_count;
  const hybridserve_wasmer_view* environment;  ///< "NAME=VALUE"
  size_t environment_count;
  const hybridserve_wasmer_folder* folders;
  size_t folder_count;
} hybridserve_wasmer_command;

/// How a command with Wasmer's own WASI ended.
typedef struct hybridserve_wasmer_ending {
  uint32_t exit_status;
  char* trap;  ///< Null: it ended by itself. To be freed.
  uint64_t load_ns;
  uint64_t run_ns;  ///< With the instantiation.
} hybridserve_wasmer_ending;

/// Runs a command with Wasmer's own WASI on the process's descriptors 0, 1 and 2. Fails when it
/// could not be run.
char* hybridserve_wasmer_run_command(const hybridserve_wasmer_command* command,
                                     hybridserve_wasmer_ending* ending);

#ifdef __cplusplus
}
#endif
