#include "router/route_header.h"

#include <algorithm>
#include <string>
#include <string_view>

namespace hybridserve {
namespace {

constexpr std::string_view kName = "hybridserve-route";

bool IsRouteHeader(const std::string& name) {
  if (name.size() != kName.size()) return false;
  return std::equal(name.begin(), name.end(), kName.begin(), [](char a, char b) {
    return (a >= 'A' && a <= 'Z' ? static_cast<char>(a + ('a' - 'A')) : a) == b;
  });
}

}  // namespace

Result<std::optional<PolicyKind>> RequestedPolicy(const RequestHead& head, RouteHeader allowed) {
  const std::string* value = nullptr;
  for (const Header& header : head.headers) {
    if (!IsRouteHeader(header.name)) continue;
    if (value != nullptr) {
      return Fail(Code::kInvalidArgument,
                  "the request has two HybridServe-Route headers; send one");
    }
    value = &header.value;
  }
  if (value == nullptr) return std::optional<PolicyKind>();
  if (allowed == RouteHeader::kForbidden) {
    return Fail(Code::kForbidden,
                "this node does not let requests choose their policy; leave HybridServe-Route out, "
                "or set policy.allow_route_header in the node's configuration");
  }
  auto kind = ParsePolicy(*value);
  if (!kind) return Wrap(std::move(kind.error()), "HybridServe-Route");
  return std::optional<PolicyKind>(*kind);
}

}  // namespace hybridserve
