#include "egress/allow.h"

#include <algorithm>

#include "egress/address.h"
#include "function/units.h"

namespace hybridserve {
namespace {

std::vector<NetworkPattern> Parse(const std::vector<std::string>& texts, NetworkScope scope) {
  std::vector<NetworkPattern> patterns;
  for (const std::string& text : texts) {
    if (auto pattern = ParseNetworkPattern(text, scope)) patterns.push_back(std::move(*pattern));
  }
  return patterns;
}

bool AnyMatches(const std::vector<NetworkPattern>& patterns, const Destination& destination) {
  return std::any_of(patterns.begin(), patterns.end(), [&destination](const NetworkPattern& one) {
    return one.Matches(destination);
  });
}

}  // namespace

Allow::Allow(const std::vector<std::string>& manifest, const std::vector<std::string>& node)
    : manifest_(Parse(manifest, NetworkScope::kManifest)), node_(Parse(node, NetworkScope::kNode)) {}

Result<> Allow::Check(const Destination& destination) const {
  const bool six = destination.host.find(':') != std::string::npos;
  const std::string where = (six ? "[" + destination.host + "]" : destination.host) + ":" +
                            std::to_string(destination.port);
  if (!AnyMatches(manifest_, destination)) {
    return Fail(Code::kForbidden, "the function may not connect to " + Quote(where, 300) +
                                      "; add it to [network] allow of its manifest");
  }
  if (!AnyMatches(node_, destination)) {
    return Fail(Code::kForbidden, "this node does not let functions connect to " +
                                      Quote(where, 300) +
                                      "; add it to [network] allowed of its configuration");
  }
  return {};
}

bool Allow::MayConnect(const Destination& destination, const boost::asio::ip::address& address) {
  if (IsPublic(address) || IsAddress(destination.host)) return true;
  return destination.host == "localhost" && address.is_loopback();
}

}  // namespace hybridserve
