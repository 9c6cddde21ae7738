// Allow: whether a function may connect somewhere, by its manifest and by the node's configuration,
// which may have changed since the deploy.
//
// Thread rule: a plain value; read-only.
#pragma once

#include <boost/asio/ip/address.hpp>
#include <string>
#include <vector>

#include "function/network_pattern.h"

namespace hybridserve {

class Allow {
 public:
  Allow() = default;
  /// Both as ParseNetworkPattern takes them; what it does not take allows nothing.
  Allow(const std::vector<std::string>& manifest, const std::vector<std::string>& node);

  /// Errors: kForbidden naming the destination and the key to set.
  [[nodiscard]] Result<> Check(const Destination& destination) const;
  /// Whether an address to which an allowed `destination` resolved may be connected to: a public
  /// one, the one that is named itself, or a loopback address of "localhost".
  [[nodiscard]] static bool MayConnect(const Destination& destination,
                                       const boost::asio::ip::address& address);

 private:
  std::vector<NetworkPattern> manifest_;
  std::vector<NetworkPattern> node_;
};

}  // namespace hybridserve
