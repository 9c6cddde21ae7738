#include "admin/access.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

namespace hybridserve {

namespace {

// The supplementary groups of the peer; empty where the kernel does not say.
std::vector<gid_t> PeerGroups(int socket) {
  socklen_t bytes = 0;
  ::getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, nullptr, &bytes);
  std::vector<gid_t> groups(bytes / sizeof(gid_t));
  if (groups.empty() ||
      ::getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &bytes) != 0) {
    return {};
  }
  groups.resize(bytes / sizeof(gid_t));
  return groups;
}

}  // namespace

Result<> CheckPeer(int socket) {
  ucred peer{};
  socklen_t bytes = sizeof(peer);
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) != 0) {
    return FailErrno("ask who connected to the admin socket");
  }
  if (peer.uid == 0 || peer.uid == ::geteuid() || peer.gid == ::getegid()) return {};
  const std::vector<gid_t> groups = PeerGroups(socket);
  if (std::find(groups.begin(), groups.end(), ::getegid()) != groups.end()) return {};
  return Fail(Code::kForbidden, "user " + std::to_string(peer.uid) +
                                    " may not use the admin API of this node; be root, the "
                                    "server's user (" +
                                    std::to_string(::geteuid()) + "), or a member of its group (" +
                                    std::to_string(::getegid()) + ")");
}

}  // namespace hybridserve
