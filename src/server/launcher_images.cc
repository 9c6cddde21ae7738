#include "server/launcher_images.h"

#include <utility>

namespace hybridserve {

Awaitable<std::string> LauncherImages::Import(int archive, Digest digest) {
  auto unpacked = co_await client_.UnpackImage(archive, std::move(digest));
  if (!unpacked) co_return tl::unexpected(std::move(unpacked.error()));
  if (agent_ != nullptr) {
    CO_TRY(co_await agent_->PrepareImage(unpacked->image));
  }
  co_return std::move(unpacked->config_json);
}

Awaitable<> LauncherImages::Remove(Digest image) {
  if (agent_ != nullptr) {
    CO_TRY(co_await agent_->RemoveImage(image));
  }
  auto removed = co_await client_.RemoveImage(std::move(image));
  co_return removed;
}

}  // namespace hybridserve
