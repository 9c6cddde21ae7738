// Deployed: one live revision of a function, as the data path sees it.
//
// Immutable. Shared by the router's table and by every invocation in flight of this revision, so
// that a deploy or a removal never pulls it away from under one.
//
// Thread rule: read-only; any thread.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "base/ids.h"
#include "function/keys.h"
#include "function/manifest.h"

namespace hybridserve {

struct Deployed {
  Manifest manifest;
  RevisionId revision;
  Digest module;       ///< Empty: no Wasm build.
  Digest image;        ///< Of the image archive, unpacked on this node; empty: no container.
  std::string image_config;  ///< The image's run configuration as JSON; empty: no container.
  /// Environment and secrets' values together, as the guest gets them. Never logged.
  std::map<std::string, std::string> environment;
  /// With one of which it may be called; nullptr: by anybody. Read again when the file changes.
  std::shared_ptr<KeyFile> keys;
};

/// Shared by: the router's table, invocations in flight, warm containers of the revision.
using DeployedPtr = std::shared_ptr<const Deployed>;

}  // namespace hybridserve
