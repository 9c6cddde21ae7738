// LauncherImages: the ImageImporter of a real node; the launcher unpacks, in a jail.
//
// Thread rule: the event loop's thread only.
#pragma once

#include <string>

#include "admin/deployer.h"
#include "launcher/client.h"

namespace hybridserve {

class LauncherImages : public ImageImporter {
 public:
  /// `client` outlives it.
  explicit LauncherImages(LauncherClient& client) : client_(client) {}

  Awaitable<std::string> Import(int archive, Digest digest) override;
  Awaitable<> Remove(Digest image) override;

 private:
  LauncherClient& client_;
};

}  // namespace hybridserve
