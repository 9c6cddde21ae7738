// Frames of a daemon's, in any pieces: what comes out is the same however they are cut, and no more
// than what went in.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "container/agent/docker/stream_demux.h"

using hybridserve::StreamDemux;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  std::string whole;
  StreamDemux at_once;
  const bool good = at_once.Take(bytes, whole).has_value();
  std::string pieces;
  StreamDemux one_by_one;
  bool all_good = true;
  for (size_t i = 0; i < size && all_good; ++i) {
    all_good = one_by_one.Take(bytes.substr(i, 1), pieces).has_value();
  }
  if (good != all_good || whole != pieces || whole.size() > size) std::abort();
  return 0;
}
