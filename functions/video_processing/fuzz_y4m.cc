// Fuzz target: a Y4M clip of any bytes; every frame lies whole within them.
#include <cstdlib>

#include "clip.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  std::string why;
  std::optional<ClipReader> clip = ClipReader::Open(bytes, 1 << 20, why);
  if (!clip) {
    if (why.empty()) std::abort();
    return 0;
  }
  if (!why.empty() || clip->width() < 1 || clip->height() < 1) std::abort();
  const char* after = bytes.data();
  while (const std::optional<std::string_view> luma = clip->NextLuma(why)) {
    if (luma->data() <= after) std::abort();
    after = luma->data() + luma->size();
    if (after > bytes.data() + size) std::abort();
  }
  return 0;
}
