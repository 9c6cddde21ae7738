#include "base/regular_file.h"

#include <fcntl.h>
#include <pwd.h>
#include <unistd.h>

#include <utility>

#include "base/file.h"

namespace hybridserve {

namespace {

int64_t Nanoseconds(const timespec& time) {
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

}  // namespace

Result<RegularFile> ReadRegularFile(const std::filesystem::path& path, uint64_t max_bytes) {
  // Not blocking: the path may name a pipe that nobody writes to.
  Result<UniqueFd> fd = OpenFile(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  if (!fd) {
    Error error = std::move(fd.error());
    if (error.code == Code::kForbidden) error.message += "; it is read as user " + ThisUser();
    return tl::unexpected(std::move(error));
  }
  RegularFile file;
  if (::fstat(fd->get(), &file.status) != 0 || !S_ISREG(file.status.st_mode)) {
    return Fail(Code::kInvalidArgument, path.string() + " is not a regular file");
  }
  TRY_ASSIGN(file.content, ReadOpenFile(fd->get(), path, max_bytes));
  return file;
}

std::string ThisUser() {
  const uid_t uid = ::geteuid();
  const passwd* entry = ::getpwuid(uid);
  const std::string number = std::to_string(uid);
  return entry != nullptr ? "'" + std::string(entry->pw_name) + "' (uid " + number + ")"
                          : "with uid " + number;
}

FileStamp StampOf(const std::filesystem::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return {};
  return {status.st_dev, status.st_ino, status.st_size, Nanoseconds(status.st_mtim),
          Nanoseconds(status.st_ctim)};
}

}  // namespace hybridserve
