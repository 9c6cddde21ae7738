#include "function/network_pattern.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

#include "function/units.h"

namespace hybridserve {
namespace {

constexpr uint16_t kHttpPort = 80;
constexpr size_t kMaxNameBytes = 253;
constexpr size_t kMaxLabelBytes = 63;

tl::unexpected<Error> Bad(std::string_view text, std::string_view what) {
  return Fail(Code::kInvalidArgument, Quote(text) + " " + std::string(what));
}

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  }
  return lower;
}

// The address as inet_ntop writes it; empty when it is none of this family.
std::string Normalized(int family, const std::string& text) {
  unsigned char bytes[sizeof(in6_addr)];
  char out[INET6_ADDRSTRLEN];
  if (::inet_pton(family, text.c_str(), bytes) != 1) return {};
  return ::inet_ntop(family, bytes, out, sizeof out) == nullptr ? std::string() : out;
}

bool IsNameChar(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

// A name in lower case: labels of 1 to 63 bytes between dots.
bool IsName(std::string_view name) {
  if (name.empty() || name.size() > kMaxNameBytes) return false;
  size_t label = 0;
  for (size_t i = 0; i <= name.size(); ++i) {
    if (i == name.size() || name[i] == '.') {
      if (label == 0 || label > kMaxLabelBytes) return false;
      label = 0;
    } else if (IsNameChar(name[i])) {
      ++label;
    } else {
      return false;
    }
  }
  return true;
}

// HOST and what follows its colon; no value: no colon.
struct Parts {
  std::string_view host;
  std::optional<std::string_view> port;
};

std::optional<Parts> Split(std::string_view text) {
  size_t host_end = text.find(':');
  if (text.starts_with('[')) {
    const size_t bracket = text.find(']');
    if (bracket == std::string_view::npos) return std::nullopt;
    host_end = bracket + 1 == text.size() ? std::string_view::npos : bracket + 1;
    if (host_end != std::string_view::npos && text[host_end] != ':') return std::nullopt;
  }
  Parts parts{text.substr(0, host_end), std::nullopt};
  if (host_end != std::string_view::npos) parts.port = text.substr(host_end + 1);
  return parts;
}

std::optional<uint16_t> ParsePort(std::string_view text) {
  uint16_t port = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, port);
  if (error != std::errc() || stop != end || port == 0) return std::nullopt;
  return port;
}

Result<std::string> ParseHost(std::string_view host, std::string_view whole) {
  if (host.starts_with('[')) {
    const std::string inside = Normalized(AF_INET6, std::string(host.substr(1, host.size() - 2)));
    if (inside.empty()) return Bad(whole, "has no IPv6 address in its brackets");
    return inside;
  }
  std::string name = Lower(host);
  if (name.ends_with('.')) name.pop_back();
  if (!IsName(name)) {
    return Bad(whole, "names no host; write a name, an IPv4 address or an IPv6 address in brackets");
  }
  return name;
}

}  // namespace

bool IsAddress(std::string_view host) {
  const std::string text(host);
  return !Normalized(AF_INET, text).empty() || !Normalized(AF_INET6, text).empty();
}

Result<Destination> ParseDestination(std::string_view text, uint16_t default_port) {
  const std::optional<Parts> parts = Split(text);
  if (!parts) return Bad(text, "is not HOST or HOST:PORT");
  Destination destination;
  destination.port = default_port;
  TRY_ASSIGN(destination.host, ParseHost(parts->host, text));
  if (parts->port) {
    const std::optional<uint16_t> port = ParsePort(*parts->port);
    if (!port) return Bad(text, "has no port of 1 to 65535 behind its colon");
    destination.port = *port;
  }
  return destination;
}

Result<NetworkPattern> ParseNetworkPattern(std::string_view text, NetworkScope scope) {
  NetworkPattern pattern;
  if (text == "*") {
    if (scope == NetworkScope::kNode) return pattern;
    return Bad(text, "means every host, which only the node's configuration may say; name the hosts");
  }
  if (text.find('/') != std::string_view::npos) {
    return Bad(text, "is a URL; write HOST or HOST:PORT");
  }
  const std::optional<Parts> parts = Split(text);
  if (!parts) return Bad(text, "is not HOST or HOST:PORT");
  if (!parts->port) {
    pattern.port = kHttpPort;
  } else if (*parts->port != "*") {
    pattern.port = ParsePort(*parts->port);
    if (!pattern.port) return Bad(text, "has neither a port of 1 to 65535 nor '*' behind its colon");
  }
  pattern.subdomains = parts->host.starts_with("*.");
  TRY_ASSIGN(pattern.host, ParseHost(parts->host.substr(pattern.subdomains ? 2 : 0), text));
  if (pattern.subdomains && IsAddress(pattern.host)) {
    return Bad(text, "has an address behind '*.'; only names have names below them");
  }
  return pattern;
}

bool NetworkPattern::Matches(const Destination& destination) const {
  if (port && *port != destination.port) return false;
  const bool is_address = IsAddress(destination.host);
  if (host.empty()) return !is_address && destination.host != "localhost";
  if (!subdomains) return destination.host == host;
  return !is_address && destination.host.size() > host.size() + 1 &&
         destination.host.ends_with(host) &&
         destination.host[destination.host.size() - host.size() - 1] == '.';
}

bool NetworkPattern::Covers(const NetworkPattern& other) const {
  if (port && port != other.port) return false;
  if (!other.subdomains) return Matches({other.host, port.value_or(other.port.value_or(kHttpPort))});
  if (host.empty()) return true;
  return subdomains && (other.host == host || Matches({other.host, port.value_or(kHttpPort)}));
}

std::optional<std::string> FirstNotCovered(const std::vector<std::string>& wanted,
                                           const std::vector<std::string>& allowed) {
  for (const std::string& text : wanted) {
    const Result<NetworkPattern> want = ParseNetworkPattern(text, NetworkScope::kManifest);
    const auto covers = [&want](const std::string& candidate) {
      const Result<NetworkPattern> pattern = ParseNetworkPattern(candidate, NetworkScope::kNode);
      return want && pattern && pattern->Covers(*want);
    };
    if (std::none_of(allowed.begin(), allowed.end(), covers)) return text;
  }
  return std::nullopt;
}

}  // namespace hybridserve
