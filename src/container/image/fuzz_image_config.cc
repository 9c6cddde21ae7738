// Fuzzes the run configuration that a jailed unpacker prints, and the resolution of users.
#include <cstdlib>

#include "container/image/image_config.h"
#include "container/image/users.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace hybridserve;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto config = ParseImageConfig(text)) {
    if (config->uid > 65535 || config->gid > 65535) abort();
    const auto again = ParseImageConfig(ImageConfigToJson(*config));
    if (!again) abort();
  }
  const size_t split = text.find('\0');
  if (split != std::string_view::npos) {
    const auto ids =
        ResolveUser(text.substr(0, split), text.substr(split + 1), text.substr(split + 1));
    if (ids && (ids->uid > 65535 || ids->gid > 65535)) abort();
  }
  return 0;
}
