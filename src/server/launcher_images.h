// LauncherImages: the ImageImporter of a real node. The launcher unpacks every image into its
// store, in a jail; a runtime with a store of its own is given it from there.
//
// Thread rule: the event loop's thread only.
#pragma once

#include <string>

#include "admin/deployer.h"
#include "launcher/client.h"
#include "server/agent_link.h"

namespace hybridserve {

class LauncherImages : public ImageImporter {
 public:
  /// Both outlive it. `agent` is that of a runtime with a store of its own, or nullptr.
  LauncherImages(LauncherClient& client, AgentLink* agent) : client_(client), agent_(agent) {}

  Awaitable<std::string> Import(int archive, Digest digest) override;
  Awaitable<> Remove(Digest image) override;

 private:
  LauncherClient& client_;
  AgentLink* agent_;
};

}  // namespace hybridserve
