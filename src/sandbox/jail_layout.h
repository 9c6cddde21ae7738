// JailLayout: what the launcher's side of a program's jail and the program's own last step,
// Lockdown(), must agree on.
//
// Thread rule: constants.
#pragma once

#include <linux/capability.h>

#include "sandbox/privileges.h"

namespace hybridserve::sandbox {

/// A mount of its own in the jail: an empty read-only folder, the root after Lockdown().
inline constexpr char kEmptyFolder[] = "/empty";

/// Set to "1" in the environment of a program whose jail has kEmptyFolder.
inline constexpr char kJailVariable[] = "HYBRIDSERVE_JAIL";

/// What an unpacker keeps for good, over its own range of users and nothing else.
inline constexpr Capabilities kUnpackCapabilities =
    CapabilitySet({CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER});

/// What every jailed program holds over its own namespaces until Lockdown().
inline constexpr Capabilities kStartCapabilities = CapabilitySet({CAP_SYS_ADMIN});

}  // namespace hybridserve::sandbox
