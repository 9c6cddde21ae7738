// Fuzz target: function.toml and its JSON form. What is accepted must survive the way through JSON.
#include <cstdint>
#include <cstdlib>

#include "function/manifest.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace hybridserve;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const Result<Manifest>& manifest : {ParseManifest(text, "fuzz"), ManifestFromJson(text)}) {
    if (!manifest) continue;
    const Result<Manifest> again = ManifestFromJson(ManifestToJson(*manifest));
    if (!again || !(*again == *manifest)) std::abort();
  }
  return 0;
}
