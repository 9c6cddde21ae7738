#include "base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

namespace hybridserve {

Result<UniqueFd> OpenFile(const std::filesystem::path& path, int flags, mode_t mode) {
  UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC, mode));
  if (!fd) return FailErrno("open " + path.string());
  return fd;
}

Result<std::string> ReadOpenFile(int fd, const std::filesystem::path& path, uint64_t max_bytes) {
  std::string content;
  char buffer[64 * 1024];
  while (true) {
    const ssize_t got = ::read(fd, buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return FailErrno("read " + path.string());
    if (got == 0) return content;
    if (content.size() + static_cast<size_t>(got) > max_bytes) {
      return Fail(Code::kTooLarge,
                  path.string() + " is larger than " + std::to_string(max_bytes) + " bytes");
    }
    content.append(buffer, static_cast<size_t>(got));
  }
}

Result<std::string> ReadFile(const std::filesystem::path& path, uint64_t max_bytes) {
  TRY_ASSIGN(const UniqueFd fd, OpenFile(path, O_RDONLY));
  return ReadOpenFile(fd.get(), path, max_bytes);
}

Result<> WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t wrote = ::write(fd, bytes.data(), bytes.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return FailErrno("write");
    bytes.remove_prefix(static_cast<size_t>(wrote));
  }
  return {};
}

Result<> WriteFileAtomically(const std::filesystem::path& path, std::string_view content,
                             mode_t mode, std::optional<FileOwner> owner) {
  std::string temporary = path.string() + ".XXXXXX";
  UniqueFd fd(::mkostemp(temporary.data(), O_CLOEXEC));
  if (!fd) return FailErrno("create " + temporary);
  Result<> written = WriteAll(fd.get(), content);
  if (written && ::fchmod(fd.get(), mode) != 0) written = FailErrno("chmod " + temporary);
  if (written && owner && ::fchown(fd.get(), owner->uid, owner->gid) != 0) {
    written = FailErrno("chown " + temporary);
  }
  if (written && ::fsync(fd.get()) != 0) written = FailErrno("sync " + temporary);
  if (written && ::rename(temporary.c_str(), path.c_str()) != 0) {
    written = FailErrno("rename " + temporary + " to " + path.string());
  }
  if (!written) {
    ::unlink(temporary.c_str());
    return Wrap(written.error(), "write " + path.string());
  }
  return {};
}

Result<UniqueFd> SealedMemfd(const char* name, std::string_view bytes) {
  UniqueFd fd(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd) return FailErrno("memfd_create");
  TRY(WriteAll(fd.get(), bytes));
  if (::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) !=
      0) {
    return FailErrno("seal a memfd");
  }
  return fd;
}

Result<> MakeFolder(const std::filesystem::path& path, mode_t mode) {
  std::error_code error;
  if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), error);
  if (error) return FailErrno("create folder " + path.parent_path().string(), error.value());
  if (::mkdir(path.c_str(), mode) == 0) {
    if (::chmod(path.c_str(), mode) != 0) return FailErrno("chmod " + path.string());
    return {};
  }
  if (errno != EEXIST) return FailErrno("create folder " + path.string());
  if (!std::filesystem::is_directory(path, error)) {
    return Fail(Code::kConflict, path.string() + " exists and is not a folder");
  }
  return {};
}

Result<> SyncFolder(const std::filesystem::path& path) {
  TRY_ASSIGN(const UniqueFd fd, OpenFile(path, O_RDONLY | O_DIRECTORY));
  if (::fsync(fd.get()) != 0) return FailErrno("sync " + path.string());
  return {};
}

Result<bool> TryLock(int fd) {
  struct flock whole {};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  if (::fcntl(fd, F_SETLK, &whole) == 0) return true;
  if (errno == EAGAIN || errno == EACCES) return false;
  return FailErrno("lock a file");
}

std::filesystem::path ProgramFolder() {
  static const std::filesystem::path folder = [] {
    std::error_code error;
    return std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  }();
  return folder;
}

TemporaryFolder::TemporaryFolder() {
  const char* base = std::getenv("TMPDIR");
  std::string pattern = std::string(base != nullptr ? base : "/tmp") + "/hybridserve.XXXXXX";
  if (::mkdtemp(pattern.data()) != nullptr) path_ = pattern;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code error;
  if (!path_.empty()) std::filesystem::remove_all(path_, error);
}

}  // namespace hybridserve
