// HttpClient: one HTTP/1.1 exchange at a time, blocking, over a unix socket, TCP or TLS.
//
// Thread rule: one thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "function/invocation.h"

namespace hybridserve::cli {

/// Where an HTTP server listens: a unix socket when `socket` is set, else TCP.
struct HttpAddress {
  std::filesystem::path socket;
  std::string host;  ///< A name, an IPv4 address, or an IPv6 address without brackets.
  uint16_t port = 0;
  bool tls = false;
  std::filesystem::path ca;  ///< PEM file with whom to trust; empty: the system's.

  /// "http://HOST:PORT" (without port: 80), "https://HOST:PORT" (443) or "HOST:PORT".
  /// Errors: kInvalidArgument.
  static Result<HttpAddress> Parse(std::string_view text);
  /// Whether what is sent there stays on this machine.
  [[nodiscard]] bool IsLocal() const;
  /// The path, or "HOST:PORT".
  [[nodiscard]] std::string Text() const;
};

struct HttpRequest {
  std::string method = "GET";
  std::string target = "/";
  std::vector<Header> headers;  ///< Host and Content-Length are added.
  std::string body;
  /// When >= 0, the body is this regular file from its start instead.
  int body_file = -1;
  /// Called while the body goes out.
  std::function<void(uint64_t done, uint64_t total)> on_progress;
};

struct HttpAnswer {
  int status = 0;
  std::vector<Header> headers;
  std::string body;  ///< Empty when it went to a consumer.

  /// The value of a header in any case; empty when it is not there.
  [[nodiscard]] std::string HeaderValue(std::string_view name) const;
};

/// Sends `request` on a new connection and reads the whole answer.
///
/// Errors: kUnavailable nothing listens at `address`; kNotFound there is no such socket or host;
/// kForbidden the socket belongs to another user, or the certificate is not to be trusted;
/// kInternal the connection broke, or no HTTP.
Result<HttpAnswer> Fetch(const HttpAddress& address, const HttpRequest& request);

/// Takes a piece of an answer's body; an error ends the exchange with it.
using BodyConsumer = std::function<Result<>(std::string_view piece)>;

/// The same, for an answer whose body comes bit by bit: each piece goes to `consume` as it comes.
/// The body of an answer with status 400 or more is put into the answer instead.
Result<HttpAnswer> FetchStream(const HttpAddress& address, const HttpRequest& request,
                               const BodyConsumer& consume);

}  // namespace hybridserve::cli
