// Who may use the admin API: by a bearer token over TCP, by the peer's credentials on the unix
// socket.
//
// Thread rule: immutable once made; any thread.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/result.h"

namespace hybridserve {

/// The token of the TCP listener. Only its SHA-256 is kept.
class AdminToken {
 public:
  /// Reads the token from a file; white space around it is taken off.
  /// Errors: naming the file; kInvalidArgument fewer than 16 or more than 4096 bytes.
  static Result<AdminToken> FromFile(const std::filesystem::path& file);

  /// Whether `authorization` is "Bearer TOKEN" with this token. Constant time in the token.
  [[nodiscard]] bool Accepts(std::string_view authorization) const;

 private:
  explicit AdminToken(Digest digest) : digest_(std::move(digest)) {}
  Digest digest_;
};

/// Whether the process at the other end of a connected unix socket is root, runs as this process's
/// user, or is a member of this process's group. Errors: kForbidden, naming the peer.
Result<> CheckPeer(int socket);

}  // namespace hybridserve
