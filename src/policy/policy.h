// Policy: where one request runs, and whether a container is worth preparing.
//
// The decision is a pure function: no clock, no I/O. The router gathers the states, calls Decide()
// and acts on the answer; a simulator replays a recorded trace through the same function. So a
// policy is tested as a table.
//
// Thread rule: pure functions over plain values; any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/result.h"
#include "function/invocation.h"
#include "function/manifest.h"

namespace hybridserve {

/// Why a request ran where it ran: the word of the HybridServe-Reason header, of logs and metrics.
enum class Reason : uint8_t {
  kWarmContainer,         ///< A ready container had a free slot.
  kNoWarmContainer,       ///< None is ready (yet): Wasm answers meanwhile.
  kContainerBusy,         ///< Every slot of every ready container is taken.
  kContainerFailing,      ///< The last starts failed: no new one before the back-off has passed.
  kContainerUnreachable,  ///< A container took no connection, so the request went to Wasm.
  kNoContainerBuild,      ///< The function has no image, or scale.max_containers is 0.
  kNoContainerRuntime,    ///< This node runs no containers.
  kNoWasmBuild,           ///< The function has no module: it waits for a container.
  kNoWasmRuntime,         ///< This node runs no Wasm.
  kPolicyWasmOnly,        ///< Policy wasm-only.
  kPolicyContainerOnly,   ///< Policy container-only.
  kRetry,                 ///< The other backend died under the request.
  kRouteHeader,           ///< The request's HybridServe-Route header asked for it.
};

/// "warm-container", "no-warm-container", ...; static storage.
std::string_view ReasonName(Reason reason);

/// Who decides, and whether it was the request itself that said so.
struct Policy {
  PolicyKind kind = PolicyKind::kPaper;
  bool from_request = false;  ///< Chosen by the request's HybridServe-Route header.
};

using PolicyTime = std::chrono::steady_clock::time_point;

/// What is known of one function at the moment of the decision.
struct FunctionState {
  bool has_wasm = false;                   ///< It has a module.
  bool has_container = false;              ///< It has an image.
  uint32_t max_containers = 1;             ///< scale.max_containers.
  uint32_t ready = 0;                      ///< Containers that listen.
  uint32_t starting = 0;                   ///< Asked for and not yet listening.
  uint32_t free_slots = 0;                 ///< Over all ready containers.
  uint32_t failures_in_row = 0;            ///< Starts that failed since the last that succeeded.
  std::optional<PolicyTime> last_failure;  ///< When the last of them failed.
};

/// What is known of the node.
struct NodeState {
  bool runs_wasm = true;
  bool runs_containers = true;
  uint32_t containers = 0;  ///< Ready and starting, all functions together.
  uint32_t max_containers = 64;
  uint32_t starting = 0;      ///< Starts under way or waiting for a boot slot.
  uint32_t max_starting = 1;  ///< While this many are, none is asked for.
};

struct Decision {
  Backend backend = Backend::kWasm;
  Reason reason = Reason::kNoWarmContainer;
  bool prepare = false;  ///< Start one more container in the background.
};

/// Where a request runs now.
///
/// paper: a warm container with a free slot, else Wasm while one container is prepared; without a
/// module it waits for a container. wasm-only and container-only: that side and no other.
///
/// `prepare` is set at most for the first start of a function at a time (single flight), within the
/// limits of function and node, and not before Backoff() has passed since a failed start.
///
/// Errors, without the function's name: kUnsupported no side can run it here, or the configured
/// policy needs a build that it lacks; kInvalidArgument the request's own header asks for such.
[[nodiscard]] Result<Decision> Decide(const Policy& policy, const FunctionState& function,
                                      const NodeState& node, PolicyTime now);

/// How long nothing is started after `failures_in_row` failed starts: 0 after none, then 1 s,
/// doubling, at most 5 min.
std::chrono::seconds Backoff(uint32_t failures_in_row);

}  // namespace hybridserve
