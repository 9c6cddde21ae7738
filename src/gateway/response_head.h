// ResponseHead's bytes: an answer's status line and headers, written by hand into one buffer that a
// connection uses again. No stream, no temporary string per header.
//
// Thread rule: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "function/exchange.h"
#include "function/invocation.h"

namespace hybridserve {

/// How the end of an answer's body is found.
enum class BodyEnd : uint8_t {
  kNone,     ///< There is no body and no length (204, 304 and the like).
  kLength,   ///< Content-Length.
  kChunked,  ///< Transfer-Encoding: chunked.
  kClose,    ///< The connection's end (HTTP/1.0 without a length).
};

/// What the gateway adds to a ResponseHead.
struct Framing {
  BodyEnd end = BodyEnd::kLength;
  uint64_t length = 0;  ///< With kLength.
  bool keep_alive = true;
  bool http_1_0 = false;
  std::string_view date;  ///< An HTTP date; empty: no Date header.
  std::string_view request_id;
  const std::optional<ServedBy>* served_by = nullptr;
};

/// Appends the head with its empty line. Headers that are the connection's business (Connection,
/// Content-Length, ...), HybridServe-* and X-Request-Id of `head` are left out, and so is any whose
/// name or value would break the head (it comes from a guest).
void AppendResponseHead(std::string& out, const ResponseHead& head, const Framing& framing);

/// Appends a chunk's size line: "1f\r\n".
void AppendChunkSize(std::string& out, uint64_t bytes);

/// True for a status whose answer never has a body (1xx, 204, 304).
bool HasNoBody(int status);

/// The HTTP date of `unix_seconds`: "Sun, 06 Nov 1994 08:49:37 GMT".
std::string HttpDate(int64_t unix_seconds);

}  // namespace hybridserve
