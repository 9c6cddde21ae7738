// The HybridServe-Route request header: a client chooses the policy for its own request.
//
// Thread rule: pure function.
#pragma once

#include <optional>

#include "base/result.h"
#include "function/invocation.h"
#include "function/manifest.h"

namespace hybridserve {

/// Whether this node obeys the header.
enum class RouteHeader : uint8_t { kForbidden, kAllowed };

/// The policy that the request asks for; nothing without the header.
///
/// Errors: kForbidden the node does not allow it; kInvalidArgument an unknown policy, or the header
/// is there twice.
Result<std::optional<PolicyKind>> RequestedPolicy(const RequestHead& head, RouteHeader allowed);

}  // namespace hybridserve
