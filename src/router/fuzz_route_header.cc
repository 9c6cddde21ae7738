// The HybridServe-Route header from arbitrary bytes: lines "name: value".
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "router/route_header.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  hybridserve::RequestHead head;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    const size_t colon = line.find(": ");
    if (colon == std::string_view::npos) continue;
    head.headers.push_back(
        {std::string(line.substr(0, colon)), std::string(line.substr(colon + 2))});
  }
  const auto allowed = RequestedPolicy(head, hybridserve::RouteHeader::kAllowed);
  const auto forbidden = RequestedPolicy(head, hybridserve::RouteHeader::kForbidden);
  // A node that forbids the header never lets a policy through.
  if (forbidden && forbidden->has_value()) std::abort();
  // What is accepted is one of the policies' own names.
  if (allowed && allowed->has_value() &&
      !hybridserve::ParsePolicy(hybridserve::PolicyName(**allowed)))
    std::abort();
  return 0;
}
