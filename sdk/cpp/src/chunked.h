// ChunkedDecoder: the chunked transfer coding (RFC 9112 7.1), of requests and of responses.
//
// Thread rule: a plain value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace hs::internal {

/// Takes a chunked body apart, in pieces of any size.
class ChunkedDecoder {
 public:
  /// Appends the data in `bytes` to `body`. Returns how many bytes belonged to the coding: all of
  /// them, or fewer once the body is complete.
  size_t Feed(std::string_view bytes, std::string& body);
  [[nodiscard]] bool done() const { return state_ == State::kDone; }
  [[nodiscard]] bool failed() const { return state_ == State::kFailed; }

 private:
  enum class State : uint8_t { kSizeLine, kData, kDataEnd, kTrailer, kDone, kFailed };

  void OnLine(std::string_view line);

  State state_ = State::kSizeLine;
  uint64_t left_ = 0;  ///< Of the chunk's data.
  std::string line_;   ///< The unfinished line.
  size_t trailer_bytes_ = 0;
};

}  // namespace hs::internal
