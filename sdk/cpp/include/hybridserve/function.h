// The C++ SDK: one handler, both builds.
//
//   #include <hybridserve/function.h>
//
//   hs::Response Handle(const hs::Request& request) {
//     return hs::Response::Text("hello " + request.ParameterOr("name", "world") + "\n");
//   }
//
// The SDK brings `main`. Built for WASI it serves the one request of its instance by CGI (RFC
// 3875). Built natively it is an HTTP/1.1 server on $PORT; without PORT it speaks CGI as well, so
// that `REQUEST_METHOD=GET ./hello` tries a function by hand. Both builds hand over the same
// Request for the same request: header names in lower case, repeated headers joined, those that
// only frame the message (Content-Length, Transfer-Encoding, Connection, Expect) left out.
//
// No exception is needed: the Wasm build is compiled without them. What a handler cannot answer it
// answers with a status; a crash is the platform's 502.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hs {

struct Header {
  std::string name;
  std::string value;
  bool operator==(const Header&) const = default;
};

/// One request. A plain value; the views its methods return hold as long as it does.
struct Request {
  std::string method = "GET";
  std::string path = "/";       ///< Below the function's own root; starts with '/'. Not decoded.
  std::string query;            ///< Without '?'. Not decoded.
  std::vector<Header> headers;  ///< Names in lower case; each name once.
  std::string body;

  /// The value of a header, in any case of `name`; empty when it was not sent.
  [[nodiscard]] std::string_view HeaderValue(std::string_view name) const;

  /// The decoded value of the query's first parameter `name`. `?flag` has the empty value.
  [[nodiscard]] std::optional<std::string> Parameter(std::string_view name) const;
  [[nodiscard]] std::string ParameterOr(std::string_view name, std::string_view otherwise) const;
  /// The parameter as a decimal integer within [lowest, highest]; `otherwise` when it was not sent,
  /// nothing when it is no such integer.
  [[nodiscard]] std::optional<long long> IntegerOr(std::string_view name, long long otherwise,
                                                   long long lowest, long long highest) const;
};

/// One answer. Content-Length, Connection and Transfer-Encoding are the SDK's business and are left
/// out if a handler sets them; a header with a line break in it is left out too.
struct Response {
  int status = 200;             ///< 200..599.
  std::vector<Header> headers;  ///< Without Content-Type among them, `text/plain` is sent.
  std::string body;

  static Response Text(std::string body, int status = 200);
  static Response Json(std::string body, int status = 200);
  /// Any body with its media type.
  static Response Of(std::string media_type, std::string body, int status = 200);
};

/// The decimal integer that is all of `text`; nothing when it is none or outside [lowest, highest].
std::optional<long long> ParseInteger(std::string_view text, long long lowest, long long highest);

/// Decodes %XX, and '+' as a space; what is no valid escape stays as it is.
std::string DecodeQuery(std::string_view text);

}  // namespace hs

/// The function: written by its author, called by the SDK.
///
/// Thread rule: the native build calls it from several threads at once, one a connection; the Wasm
/// build once in a fresh instance, where globals start anew with every request.
hs::Response Handle(const hs::Request& request);
