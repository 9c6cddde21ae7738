// Address: which IP addresses lie in the public internet.
//
// A name that a function may call can be made to resolve to an address inside (DNS rebinding):
// the node's own loopback, its neighbours, the cloud's metadata service. Only what is globally
// reachable by IANA's special-purpose registries (RFC 6890 and its updates) is public.
//
// Thread rule: pure function.
#pragma once

#include <boost/asio/ip/address.hpp>

namespace hybridserve {

/// False for loopback, private, shared (RFC 6598), link-local, documentation, benchmarking,
/// multicast, reserved and unspecified addresses, and for IPv6 addresses that carry such an IPv4
/// address (mapped, NAT64) or any at all (6to4, Teredo).
bool IsPublic(const boost::asio::ip::address& address);

}  // namespace hybridserve
