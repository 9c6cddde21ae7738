// The request head as a container gets it (RFC 9112), rewritten by a proxy's rules (RFC 9110 7.6).
//
// Thread rule: pure function.
#pragma once

#include <cstdint>
#include <string>

#include "function/invocation.h"

namespace hybridserve {

/// How the request's body is framed towards the container.
enum class BodyFraming : uint8_t {
  kNone,
  kLength,  ///< Content-Length, from the head.
  kChunked,
};

/// None without a body; by length when the head knows it; else chunked.
BodyFraming RequestFraming(const RequestHead& head);

/// Appends request line, headers and the empty line to `out`. The target is the path below the
/// function's own root, with its query; X-Forwarded-Prefix carries what was taken off. Host stays;
/// X-Forwarded-For grows by the client's address; X-Forwarded-Proto and -Host stay if a proxy
/// before us has set them; X-Request-Id is the node's.
void AppendRequestHead(std::string& out, const RequestHead& head);

/// True for methods that can be sent again after a lost connection (RFC 9110 9.2.2).
bool IsIdempotent(std::string_view method);

}  // namespace hybridserve
