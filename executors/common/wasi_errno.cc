#include "executors/common/wasi_errno.h"

#include <cerrno>

namespace hybridserve::wasi {
namespace {

uint64_t ToNs(const timespec& time) {
  return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(time.tv_nsec);
}

}  // namespace

Errno FromErrno(int error_number) {
  switch (error_number) {
    case EACCES:
      return Errno::kAccess;
    case EAGAIN:
      return Errno::kAgain;
    case EBADF:
      return Errno::kBadf;
    case ECONNRESET:
      return Errno::kConnreset;
    case ENOTCONN:
      return Errno::kNotconn;
    case EPIPE:
      return Errno::kPipe;
    case EBUSY:
      return Errno::kBusy;
    case EEXIST:
      return Errno::kExist;
    case EFBIG:
      return Errno::kFbig;
    case EINVAL:
      return Errno::kInval;
    case EISDIR:
      return Errno::kIsdir;
    case ELOOP:
      return Errno::kLoop;
    case EMFILE:
      return Errno::kMfile;
    case EMLINK:
      return Errno::kMlink;
    case ENAMETOOLONG:
      return Errno::kNametoolong;
    case ENFILE:
      return Errno::kNfile;
    case ENOENT:
      return Errno::kNoent;
    case ENOMEM:
      return Errno::kNomem;
    case ENOSPC:
    case EDQUOT:
      return Errno::kNospc;
    case ENOSYS:
      return Errno::kNosys;
    case ENOTDIR:
      return Errno::kNotdir;
    case ENOTEMPTY:
      return Errno::kNotempty;
    case EOPNOTSUPP:
      return Errno::kNotsup;
    case EOVERFLOW:
      return Errno::kOverflow;
    case EPERM:
      return Errno::kPerm;
    case EROFS:
      return Errno::kRofs;
    case ESPIPE:
      return Errno::kSpipe;
    case EXDEV:
      return Errno::kXdev;
    default:
      return Errno::kIo;
  }
}

FileType FromMode(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFDIR:
      return FileType::kDirectory;
    case S_IFREG:
      return FileType::kRegularFile;
    case S_IFLNK:
      return FileType::kSymbolicLink;
    case S_IFBLK:
      return FileType::kBlockDevice;
    case S_IFCHR:
      return FileType::kCharacterDevice;
    default:
      return FileType::kUnknown;
  }
}

Filestat FromStat(const struct stat& stat) {
  return {.dev = stat.st_dev,
          .ino = stat.st_ino,
          .filetype = FromMode(stat.st_mode),
          .nlink = stat.st_nlink,
          .size = static_cast<uint64_t>(stat.st_size),
          .atim = ToNs(stat.st_atim),
          .mtim = ToNs(stat.st_mtim),
          .ctim = ToNs(stat.st_ctim)};
}

}  // namespace hybridserve::wasi
