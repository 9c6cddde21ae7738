// What a container of a revision runs: its manifest and its image's own configuration together.
//
// Thread rule: pure function.
#pragma once

#include "container/runtime.h"
#include "function/deployed.h"

namespace hybridserve {

/// The manifest's command, else the image's; the image's environment under the function's own.
ContainerSpec MakeContainerSpec(const Deployed& function);

}  // namespace hybridserve
