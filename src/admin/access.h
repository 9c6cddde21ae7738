// Who may use the admin API on the unix socket: by the peer's credentials.
//
// Thread rule: any thread.
#pragma once

#include "base/result.h"

namespace hybridserve {

/// Whether the process at the other end of a connected unix socket is root, runs as this process's
/// user, or is a member of this process's group. Errors: kForbidden, naming the peer.
Result<> CheckPeer(int socket);

}  // namespace hybridserve
