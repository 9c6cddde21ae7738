#include "server/launcher_images.h"

#include <utility>

namespace hybridserve {

Awaitable<std::string> LauncherImages::Import(int archive, Digest digest) {
  auto unpacked = co_await client_.UnpackImage(archive, std::move(digest));
  if (!unpacked) co_return tl::unexpected(std::move(unpacked.error()));
  co_return std::move(unpacked->config_json);
}

Awaitable<> LauncherImages::Remove(Digest image) {
  auto removed = co_await client_.RemoveImage(std::move(image));
  co_return removed;
}

}  // namespace hybridserve
