// StreamDemux: takes the frames apart in which Docker Engine sends a container's stdout and stderr
// over one connection: eight bytes of head (which stream, three zeros, the size, big-endian), then
// that many bytes.
//
// Source: Docker Engine API 1.41, ContainerAttach, "Stream format".
//
// Thread rule: one thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace hybridserve {

class StreamDemux {
 public:
  /// Appends to `out` what is the container's in the next `bytes`, of both streams in their order.
  /// Errors: kCorrupt they are no such frames; nothing more can be made of the connection then.
  Result<> Take(std::string_view bytes, std::string& out);

 private:
  std::string head_;       // Of the next frame, as far as it has come.
  uint32_t left_ = 0;      // Of the current frame.
};

}  // namespace hybridserve
