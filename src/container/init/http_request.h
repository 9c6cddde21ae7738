// HttpRequest: reads HTTP/1.1 requests off one connection (RFC 9112), strictly and bounded.
//
// The peer is our own gateway; a request it would not send is refused all the same.
//
// Thread rule: one thread per connection.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "function/invocation.h"

namespace hybridserve::init {

inline constexpr size_t kMaxHeadBytes = 64 * 1024;
inline constexpr size_t kMaxHeaders = 256;

enum class BodyKind : uint8_t { kNone, kLength, kChunked };

/// One request's head. `head` is as the function sees it: what the gateway added on the way
/// (X-Forwarded-*, X-Request-Id) is taken out again, so that a program
/// finds the same variables here as its Wasm build does.
struct Request {
  RequestHead head;
  BodyKind body = BodyKind::kNone;
  uint64_t body_bytes = 0;  ///< For kLength.
  bool keep_alive = true;
  bool expects_continue = false;
};

/// Parses a whole head, its empty line included. Errors: kInvalidArgument what is wrong with it.
Result<Request> ParseRequest(std::string_view text);

/// The end of the head at the start of `bytes` (behind its empty line), or npos: more is needed.
size_t HeadEnd(std::string_view bytes);

/// Decodes a chunked body as it arrives.
class ChunkDecoder {
 public:
  /// Takes bytes off the front of `bytes` and appends the body's to `out`. Call again with more
  /// until done(); what is left in `bytes` then belongs to the next request. Errors:
  /// kInvalidArgument bad framing.
  Result<> Decode(std::string_view& bytes, std::string& out);
  [[nodiscard]] bool done() const { return state_ == State::kDone; }

 private:
  enum class State : uint8_t { kSize, kData, kDataEnd, kTrailer, kDone };
  Result<> OnLine(std::string_view line);

  State state_ = State::kSize;
  uint64_t left_ = 0;
  std::string line_;
  size_t trailer_bytes_ = 0;
};

}  // namespace hybridserve::init
