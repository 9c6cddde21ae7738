#include "policy/policy.h"

#include <algorithm>
#include <string>

namespace hybridserve {
namespace {

bool BackingOff(const FunctionState& function, PolicyTime now) {
  return function.last_failure && now < *function.last_failure + Backoff(function.failures_in_row);
}

bool MayPrepare(const FunctionState& function, const NodeState& node, PolicyTime now) {
  return function.starting == 0 && function.ready < function.max_containers &&
         node.containers < node.max_containers && node.starting < node.max_starting &&
         !BackingOff(function, now);
}

// Why no container takes the request although the function could have one.
Reason WhyNoSlot(const FunctionState& function, PolicyTime now) {
  if (function.ready > 0) return Reason::kContainerBusy;
  if (function.starting == 0 && BackingOff(function, now)) return Reason::kContainerFailing;
  return Reason::kNoWarmContainer;
}

std::string WhyNoWasm(const FunctionState& function) {
  return function.has_wasm ? "this node runs no Wasm"
                           : "the function has no Wasm build (add [wasm] to function.toml)";
}

std::string WhyNoContainer(const FunctionState& function) {
  if (!function.has_container) {
    return "the function has no container build (add [container] to function.toml)";
  }
  if (function.max_containers == 0) return "scale.max_containers is 0 in its function.toml";
  return "this node runs no containers (its start-up log says why)";
}

tl::unexpected<Error> Refuse(const Policy& policy, std::string why) {
  if (policy.from_request) {
    return Fail(Code::kInvalidArgument, "HybridServe-Route asks for policy " +
                                            std::string(PolicyName(policy.kind)) + ", but " + why);
  }
  return Fail(Code::kUnsupported,
              "policy " + std::string(PolicyName(policy.kind)) + " cannot run it: " + why);
}

}  // namespace

std::string_view ReasonName(Reason reason) {
  switch (reason) {
    case Reason::kWarmContainer:
      return "warm-container";
    case Reason::kNoWarmContainer:
      return "no-warm-container";
    case Reason::kContainerBusy:
      return "container-busy";
    case Reason::kContainerFailing:
      return "container-failing";
    case Reason::kContainerUnreachable:
      return "container-unreachable";
    case Reason::kNoContainerBuild:
      return "no-container-build";
    case Reason::kNoContainerRuntime:
      return "no-container-runtime";
    case Reason::kNoWasmBuild:
      return "no-wasm-build";
    case Reason::kNoWasmRuntime:
      return "no-wasm-runtime";
    case Reason::kPolicyWasmOnly:
      return "policy-wasm-only";
    case Reason::kPolicyContainerOnly:
      return "policy-container-only";
    case Reason::kRetry:
      return "retry";
    case Reason::kRouteHeader:
      return "route-header";
  }
  return "unknown";
}

std::chrono::seconds Backoff(uint32_t failures_in_row) {
  using std::chrono::seconds;
  if (failures_in_row == 0) return seconds(0);
  constexpr seconds kLongest(300);
  const uint32_t doublings = std::min(failures_in_row - 1, 9u);
  return std::min(kLongest, seconds(1u << doublings));
}

Result<Decision> Decide(const Policy& policy, const FunctionState& function, const NodeState& node,
                        PolicyTime now) {
  const bool wasm = function.has_wasm && node.runs_wasm;
  const bool container =
      function.has_container && function.max_containers > 0 && node.runs_containers;

  if (policy.kind == PolicyKind::kWasmOnly) {
    if (!wasm) return Refuse(policy, WhyNoWasm(function));
    return Decision{Backend::kWasm,
                    policy.from_request ? Reason::kRouteHeader : Reason::kPolicyWasmOnly, false};
  }
  if (policy.kind == PolicyKind::kContainerOnly) {
    if (!container) return Refuse(policy, WhyNoContainer(function));
    return Decision{Backend::kContainer,
                    policy.from_request ? Reason::kRouteHeader : Reason::kPolicyContainerOnly,
                    function.free_slots == 0 && MayPrepare(function, node, now)};
  }

  if (!wasm && !container) {
    return Refuse(policy, WhyNoWasm(function) + " and " + WhyNoContainer(function));
  }
  if (container && function.free_slots > 0) {
    return Decision{Backend::kContainer, Reason::kWarmContainer, false};
  }
  if (!container) {
    return Decision{Backend::kWasm,
                    function.has_container && function.max_containers > 0
                        ? Reason::kNoContainerRuntime
                        : Reason::kNoContainerBuild,
                    false};
  }
  const bool prepare = MayPrepare(function, node, now);
  if (wasm) return Decision{Backend::kWasm, WhyNoSlot(function, now), prepare};
  return Decision{Backend::kContainer,
                  function.has_wasm ? Reason::kNoWasmRuntime : Reason::kNoWasmBuild, prepare};
}

}  // namespace hybridserve
