// RootFolder: writes below one folder and nowhere else, whatever the paths say.
//
// Every path is resolved by the kernel inside the folder (openat2 with RESOLVE_IN_ROOT): symbolic
// links, absolute ones too, mean what they will mean inside the container, and none leads out. The
// last component is never followed.
//
// Paths are clean names ("usr/bin/sh"): CleanPath makes them from what an archive says.
//
// Thread rule: one thread.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <ctime>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"

namespace hybridserve {

/// Owner, permission bits and time of an entry.
struct FileAttributes {
  uid_t uid = 0;
  gid_t gid = 0;
  mode_t mode = 0;
  timespec modified{};
};

/// "./usr//bin/" as "usr/bin"; "" for the root itself. Errors: kInvalidArgument an absolute path,
/// one with "..", one over 4,095 bytes or with a component over 255.
Result<std::string> CleanPath(std::string_view path);

class RootFolder {
 public:
  /// `fd` is the folder's descriptor; it stays the caller's and outlives this.
  explicit RootFolder(int fd) : fd_(fd) {}

  /// An empty new file, writable. Whatever was there is gone.
  Result<UniqueFd> CreateFile(const std::string& path);
  /// Makes the folder, or keeps the one that is there; another kind of entry is replaced.
  Result<> MakeFolder(const std::string& path, const FileAttributes& attributes);
  Result<> MakeSymlink(const std::string& path, const std::string& target,
                       const FileAttributes& attributes);
  /// A second name for the regular file or link `target`.
  Result<> MakeHardLink(const std::string& path, const std::string& target);

  /// Removes an entry with all below it; nothing happens when there is none.
  Result<> Remove(const std::string& path);
  /// Removes what is in a folder, but not entries for which `keep` is true of their path, nor the
  /// folders above those. Nothing happens when there is no such folder.
  Result<> RemoveContent(const std::string& path,
                         const std::function<bool(const std::string&)>& keep);

  /// A whole regular file, links followed inside the root. Errors: kNotFound; kTooLarge;
  /// kInvalidArgument not a regular file.
  Result<std::string> Read(const std::string& path, uint64_t max_bytes) const;

  /// Folders made because an entry lay in them, without one of their own.
  [[nodiscard]] uint64_t implied_folders() const { return implied_folders_; }

 private:
  /// A path's last component and the open folder that holds it.
  struct Place {
    int folder;
    std::string name;
  };
  enum class Missing { kCreate, kFail };

  /// The descriptor in it holds until the next call.
  Result<Place> Find(const std::string& path, Missing missing);
  Result<UniqueFd> OpenBelow(const std::string& path, int flags) const;
  Result<UniqueFd> MakeFolders(const std::string& path);
  Result<> RemoveAt(int folder, const std::string& name);

  int fd_;
  uint64_t implied_folders_ = 0;
  // Entries of one folder mostly come in a row: its descriptor is kept until anything that could
  // change what its path means.
  std::string cached_path_;
  UniqueFd cached_;
};

/// Sets owner, mode and time of an open file; an owner outside 0..65535 becomes 65534 (nobody).
Result<> SetAttributes(int fd, const FileAttributes& attributes, const std::string& path);

}  // namespace hybridserve
