// The one description of the node's configuration: every key with its type and range.
//
// Thread rule: pure functions.
#pragma once

#include "config/node_config.h"
#include "function/settings.h"

namespace hybridserve {

void VisitNodeConfig(SettingsVisitor& visitor, NodeConfig& config);

}  // namespace hybridserve
