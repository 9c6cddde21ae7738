// RequestParser: HTTP/1.x requests from the bytes of one connection, one after the other.
//
// The grammar is Boost.Beast's parser's. What it lets through although two parties could read it
// differently (request smuggling) is refused here: folded header lines, a Transfer-Encoding that is
// not just "chunked", one in HTTP/1.0, one beside a Content-Length, two Host headers.
//
// Thread rule: one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "function/invocation.h"

namespace hybridserve {

/// Why a request cannot be taken; the connection cannot go on after it.
struct RequestError {
  int http_status = 400;
  Error error;
};

class RequestParser {
 public:
  static constexpr size_t kMaxHeaders = 256;

  RequestParser();
  ~RequestParser();
  RequestParser(const RequestParser&) = delete;
  RequestParser& operator=(const RequestParser&) = delete;

  /// Parses a whole head: `head` ends with the empty line. Fills in method, headers, host, request
  /// id (empty when the client sent none that can be used) and body of `request`, whose memory is
  /// used again; `target()` holds until the bytes of `head` change.
  tl::expected<void, RequestError> ParseHead(std::string_view head, RequestHead& request);

  [[nodiscard]] std::string_view target() const;
  /// The client wants to go on after this request.
  [[nodiscard]] bool keep_alive() const;
  [[nodiscard]] bool is_http_1_0() const;
  /// The client waits for "100 Continue" before it sends the body.
  [[nodiscard]] bool expects_continue() const;

  /// One step through the body.
  struct BodyStep {
    size_t consumed = 0;     ///< Of `bytes`.
    std::string_view piece;  ///< Part of `bytes`; may be empty although the body goes on.
  };
  /// `bytes` is what follows what was consumed before. A step that consumes nothing needs more
  /// bytes. Errors: kInvalidArgument bad chunking.
  Result<BodyStep> ParseBody(std::string_view bytes);
  /// The whole request was parsed.
  [[nodiscard]] bool done() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The size of the head at the start of `bytes`, with its empty line; 0 when its end is not there.
/// `scanned` is where to look from: 0 at first, then what the last call left in it.
size_t FindHeadEnd(std::string_view bytes, size_t& scanned);

}  // namespace hybridserve
