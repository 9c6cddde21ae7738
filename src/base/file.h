// Whole-file helpers: read, write atomically, folders. What std::filesystem leaves open.
//
// Thread rule: safe from any thread; two writers of one path do not mix, the last rename wins.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"

namespace hybridserve {

/// Opens with O_CLOEXEC. The error names the path.
Result<UniqueFd> OpenFile(const std::filesystem::path& path, int flags, mode_t mode = 0644);

/// The whole file; kTooLarge when it has more than `max_bytes`.
Result<std::string> ReadFile(const std::filesystem::path& path, uint64_t max_bytes = 64u << 20);
/// The same for a file that is open, from its position on; `path` only names it in errors.
Result<std::string> ReadOpenFile(int fd, const std::filesystem::path& path, uint64_t max_bytes);

struct FileOwner {
  uid_t uid = 0;
  gid_t gid = 0;
};

/// Writes a temporary file beside `path`, syncs it and renames it into place. After a loss of power
/// the old file may be there unless SyncFolder was called.
Result<> WriteFileAtomically(const std::filesystem::path& path, std::string_view content,
                             mode_t mode = 0644, std::optional<FileOwner> owner = {});

/// Writes all of `bytes`, going on after short writes and EINTR.
Result<> WriteAll(int fd, std::string_view bytes);

/// A memfd holding `bytes`, sealed against every change (F_SEAL_WRITE|SHRINK|GROW|SEAL).
Result<UniqueFd> SealedMemfd(const char* name, std::string_view bytes);

/// Creates the folder and its parents; an existing one keeps its mode.
Result<> MakeFolder(const std::filesystem::path& path, mode_t mode = 0755);

/// Makes durable which names the folder has: what was created, renamed or removed in it.
Result<> SyncFolder(const std::filesystem::path& path);

/// Takes the file's record lock until the file is closed: false when another process has it. Unlike
/// flock's it is this process's alone, so that a child which outlives it does not keep the next one
/// out. Closing any other descriptor of the file drops it.
Result<bool> TryLock(int fd);

/// The folder of the running program (from /proc/self/exe): its companions lie beside it. As it was
/// at the first call; a process that changes its mounts calls it before.
std::filesystem::path ProgramFolder();

/// A folder of its own under $TMPDIR or /tmp, removed with its content by the destructor.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace hybridserve
