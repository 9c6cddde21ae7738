// NetworkPattern: which destinations a function may reach, as `[network]` of a manifest and of the
// node's configuration write them: "api.example.com", "127.0.0.1:8000", "*.example.org:*".
//
// HOST[:PORT]; the port is 80 where it is left out, and "*" means any. A HOST is a name, an IPv4
// address, an IPv6 address in brackets, or "*." and a name, which stands for every name below it
// and not for that name itself. The node's configuration also knows "*" alone: every name and every
// public address, on any port.
//
// Thread rule: plain values and pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace hybridserve {

/// Patterns that one manifest, or one node, may have.
inline constexpr size_t kMaxNetworkPatterns = 32;

/// Where a connection goes: a name in lower case without a dot at its end, or an address as
/// inet_ntop writes it, without brackets.
struct Destination {
  std::string host;
  uint16_t port = 80;
  bool operator==(const Destination&) const = default;
};

/// Parses "HOST" and "HOST:PORT"; without a port it is `default_port`.
/// Errors: kInvalidArgument what is wrong with it, user information ("user@host") among them.
Result<Destination> ParseDestination(std::string_view text, uint16_t default_port);

/// True for an IPv4 or IPv6 address in the standard form; not for "127.1", "0x7f000001" and the
/// other forms that a resolver takes for an address.
bool IsAddress(std::string_view host);

struct NetworkPattern {
  std::string host;              ///< As Destination's; below it when `subdomains`; empty for "*".
  bool subdomains = false;       ///< "*.": names below `host`, at any depth.
  std::optional<uint16_t> port;  ///< Absent: any.

  /// Whether a connection there is meant. "*" alone means no address and not "localhost": whether
  /// an address is public is the caller's to see (egress/address.h).
  [[nodiscard]] bool Matches(const Destination& destination) const;
  /// Whether every destination of `other` is one of this pattern's.
  [[nodiscard]] bool Covers(const NetworkPattern& other) const;
};

enum class NetworkScope : uint8_t {
  kManifest,  ///< "*" alone is an error.
  kNode,
};
/// Errors: kInvalidArgument what is wrong with `text`.
Result<NetworkPattern> ParseNetworkPattern(std::string_view text, NetworkScope scope);

/// The first of `wanted` that no pattern of `allowed` covers; nothing when all are covered. Both
/// were checked by ParseNetworkPattern; what cannot be parsed covers nothing and is not covered.
std::optional<std::string> FirstNotCovered(const std::vector<std::string>& wanted,
                                           const std::vector<std::string>& allowed);

}  // namespace hybridserve
