// HTTP/1.1 requests (RFC 9112): the head. The chunked coding of a body is in chunked.h.
//
// Strict where leniency lets two parties read a message differently (request smuggling): bare
// CR, folded lines, spaces before a colon, Content-Length beside Transfer-Encoding and unequal
// Content-Lengths are errors.
//
// Thread rule: plain values and pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "chunked.h"
#include "hybridserve/function.h"

namespace hs::internal {

constexpr size_t kLargestHead = 64 * 1024;
constexpr size_t kMostHeaders = 256;

struct RequestHead {
  Request request;              ///< Its body is empty.
  uint64_t content_length = 0;  ///< 0 when chunked.
  bool chunked = false;
  bool keep_alive = true;
  bool expects_continue = false;
};

/// Parses the head at the start of `bytes`.
struct ParsedHead {
  /// 200 when it is there, 0 when more bytes are needed, else the status to refuse it with.
  int status = 0;
  size_t length = 0;  ///< Of the head, when it is there.
};
ParsedHead ParseHead(std::string_view bytes, RequestHead& head);

}  // namespace hs::internal
