// Invocation: one request to a function and what became of it, in the words that response headers,
// metrics, logs and traces share.
//
// Thread rule: plain values.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hybridserve {

using Microseconds = std::chrono::microseconds;

enum class Backend : uint8_t { kWasm, kContainer };
/// kCold: nothing of the function was in memory (Wasm), or the request waited for a container.
enum class StartKind : uint8_t { kCold, kWarm };

std::string_view BackendName(Backend backend);   ///< "wasm", "container"
std::string_view StartName(StartKind start);     ///< "cold", "warm"

struct Header {
  std::string name;
  std::string value;
  bool operator==(const Header&) const = default;
};

/// A request's head as the function sees it: the route's prefix is already taken off `path`.
struct RequestHead {
  std::string method;
  std::string path = "/";           ///< Below the function's own root; starts with '/'. Not decoded.
  std::string query;                ///< Without '?'.
  std::string script_name;          ///< The prefix that was taken off: "/function/NAME", or empty.
  std::string host;
  std::string remote_address;       ///< The client's IP address.
  std::string request_id;
  /// In the order of arrival, Host among them. Hop-by-hop headers (RFC 9110 7.6.1), Content-Length
  /// and Expect are already gone.
  std::vector<Header> headers;
  std::optional<uint64_t> content_length;  ///< Absent: chunked, or no body.
  bool has_body = false;
  bool https = false;  ///< The client came over TLS.
};

struct ResponseHead {
  int status = 200;
  std::vector<Header> headers;      ///< Without hop-by-hop headers and without Content-Length.
};

/// How long each phase took. The three add up to the time inside the node, but for parsing.
struct Timing {
  Microseconds queue{};  ///< Waiting for a slot.
  Microseconds start{};  ///< Until the function's first instruction (Wasm) or its connection.
  Microseconds run{};    ///< The function itself.
};

}  // namespace hybridserve
