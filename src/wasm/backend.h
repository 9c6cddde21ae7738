// WasmBackend: runs one invocation in a fresh Wasm instance. The router's view of the executors.
//
// Implemented by ExecutorPool (jailed executors) and by FakeWasmBackend (tests).
//
// Thread rule: the event loop's thread only.
#pragma once

#include <chrono>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>

#include "function/deployed.h"
#include "function/invocation.h"
#include "launcher/client.h"

namespace hybridserve {

struct WasmInvocation {
  DeployedPtr function;
  const RequestHead* head = nullptr;  ///< Outlives the call.
  std::string_view body;              ///< Whole; outlives the call.
};

/// What the guest wrote, parsed. `bytes` holds the whole output; the body starts at `body_offset`.
struct WasmResult {
  ResponseHead head;
  std::string bytes;
  size_t body_offset = 0;
  StartKind start_kind = StartKind::kWarm;
  Microseconds start{};  ///< Load (when cold) and instantiate.
  Microseconds run{};    ///< The guest's own code.
  uint64_t peak_memory_bytes = 0;
};

class WasmBackend {
 public:
  virtual ~WasmBackend() = default;

  /// Guests that can run at once on this node; the router keeps to it.
  [[nodiscard]] virtual uint32_t slots() const = 0;

  /// Compiles the module ahead of time unless its native code is in the cache and passes its check.
  /// Errors: kInvalidArgument what is wrong with the module (not Wasm, truncated, unknown import,
  /// memory over the limit); kTimeout the compiler took too long; kUnavailable.
  virtual Awaitable<> Prepare(DeployedPtr function) = 0;

  /// Runs one request. Asio cancellation of the awaiting coroutine ends the guest; the call
  /// completes (kCancelled) once the executor has let go of it.
  ///
  /// Errors: kFunctionFailed the guest trapped, exited non-zero, wrote bad CGI headers or more than
  /// response_bytes; kBackendDied its executor died; kTimeout run_timeout passed; kCancelled; those of
  /// Prepare, where the code had to be compiled first.
  virtual Awaitable<WasmResult> Invoke(WasmInvocation invocation) = 0;

  /// Deletes ahead-of-time code of modules that are not in `kept`, once it is older than `grace`.
  virtual void CollectGarbage(const std::set<Digest>& kept, std::chrono::seconds grace) = 0;

  /// Drops the function's code from the executor's memory (scale to zero). The next Invoke is cold.
  virtual void Unload(const Deployed& function) = 0;
  /// True while the executor has the function's code in memory.
  [[nodiscard]] virtual bool IsLoaded(const Deployed& function) const = 0;
};

}  // namespace hybridserve
