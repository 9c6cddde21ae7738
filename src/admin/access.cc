#include "admin/access.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "base/digest.h"
#include "base/file.h"

namespace hybridserve {

namespace {

constexpr size_t kMinTokenBytes = 16;
constexpr size_t kMaxTokenBytes = 4096;
constexpr std::string_view kWhiteSpace = " \t\r\n";

std::string_view Trim(std::string_view text) {
  const size_t start = text.find_first_not_of(kWhiteSpace);
  if (start == std::string_view::npos) return {};
  return text.substr(start, text.find_last_not_of(kWhiteSpace) - start + 1);
}

bool IsScheme(std::string_view text) {
  constexpr std::string_view kBearer = "bearer";
  return std::equal(text.begin(), text.end(), kBearer.begin(), kBearer.end(),
                    [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + 32 : a) == b; });
}

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

Result<AdminToken> AdminToken::FromFile(const std::filesystem::path& file) {
  const Result<std::string> content = ReadFile(file, kMaxTokenBytes);
  if (!content) return Wrap(content.error(), "the admin token (admin.token_file)");
  const std::string_view token = Trim(*content);
  if (token.size() < kMinTokenBytes) {
    return Fail(Code::kInvalidArgument,
                "the admin token in " + file.string() + " has " + std::to_string(token.size()) +
                    " bytes; it must have at least " + std::to_string(kMinTokenBytes) +
                    ": `openssl rand -hex 32` makes one");
  }
  return AdminToken(Sha256(token));
}

bool AdminToken::Accepts(std::string_view authorization) const {
  const size_t space = authorization.find(' ');
  if (space == std::string_view::npos || !IsScheme(authorization.substr(0, space))) return false;
  const Digest digest = Sha256(Trim(authorization.substr(space)));
  return ConstantTimeEqual(digest.value, digest_.value);
}

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
