// StateFolder: what a node keeps on disk, who owns which part, and that only one node uses it.
//
//   STATE/            0711, the launcher's user
//     lock            held while a node runs; its pid inside
//     server/         0711, the server's user: registry, blobs, native code, admin socket
//     images/         0700, the launcher's: <digest>/{rootfs/, config.json, bytes}
//
// Thread rule: one thread.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace hybridserve::launcher {

/// Whom a process runs as.
struct User {
  uid_t uid = 0;
  gid_t gid = 0;
};

/// The server's user: `name` as the system knows it, or a number. "hybridserve", where no such user
/// exists, is 64100. Without root it is the launcher's own user.
/// Errors: kInvalidArgument no such user, or root.
Result<User> FindServerUser(const std::string& name);

class StateFolder {
 public:
  /// Creates what is missing and takes the lock.
  /// Errors: kConflict another node runs here; kForbidden the folder cannot be written.
  static Result<StateFolder> Open(const std::filesystem::path& path, const User& server);

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::filesystem::path images() const { return path_ / "images"; }
  /// A short name for this folder, the same at each start: names the node's cgroups.
  [[nodiscard]] std::string Tag() const;

 private:
  StateFolder(std::filesystem::path path, UniqueFd lock)
      : path_(std::move(path)), lock_(std::move(lock)) {}

  std::filesystem::path path_;
  UniqueFd lock_;
};

}  // namespace hybridserve::launcher
