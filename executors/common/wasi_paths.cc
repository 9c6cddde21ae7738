// Paths of preview 1. The kernel resolves them below the folder's descriptor (openat2 with
// RESOLVE_BENEATH), so neither "..", nor an absolute path, nor a symbolic link leads out of it.
// Where a system call takes no such flag, the directory that holds the path's last part is opened
// that way first, and the call works on the last part alone, never following a link there.
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "executors/common/wasi.h"
#include "executors/common/wasi_errno.h"

namespace hybridserve::wasi {
namespace {

constexpr uint32_t kOk = 0;
constexpr size_t kMaxPathBytes = 4096;

uint32_t Code(Errno error) { return static_cast<uint32_t>(error); }
uint32_t FromResult(int64_t result) { return result < 0 ? Code(FromErrno(errno)) : kOk; }

// Opens `path` below `folder`. What would lead out of it is kPerm.
Errno OpenBeneath(int folder, const std::string& path, int flags, mode_t mode, UniqueFd& opened) {
  open_how how{};
  how.flags = static_cast<uint64_t>(flags | O_CLOEXEC);
  how.mode = mode;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  // The kernel asks to try again when the tree changed under its feet.
  for (int attempt = 0; attempt < 8; ++attempt) {
    opened.Reset(static_cast<int>(::syscall(SYS_openat2, folder, path.c_str(), &how, sizeof(how))));
    if (opened) return Errno::kSuccess;
    if (errno != EAGAIN && errno != EINTR) break;
  }
  return errno == EXDEV ? Errno::kPerm : FromErrno(errno);
}

// As OpenBeneath, in a guest's /tmp: counts a file that is made, and one that is emptied.
Errno OpenInScratch(Scratch& scratch, int folder, const std::string& path, int flags, mode_t mode,
                    UniqueFd& opened) {
  if ((flags & (O_CREAT | O_TRUNC)) == 0) return OpenBeneath(folder, path, flags, mode, opened);
  UniqueFd found;
  struct stat before {};
  const bool exists =
      OpenBeneath(folder, path, O_PATH | (flags & O_NOFOLLOW), 0, found) == Errno::kSuccess &&
      ::fstat(found.get(), &before) == 0;
  const bool makes = !exists && (flags & O_CREAT) != 0;
  if (makes && scratch.AddName() != 0) return FromErrno(errno);
  const Errno error = OpenBeneath(folder, path, flags, mode, opened);
  if (makes && error != Errno::kSuccess) scratch.TakeBackName();
  if (exists && error == Errno::kSuccess && (flags & O_TRUNC) != 0) scratch.Emptied(before);
  return error;
}

int AccessMode(bool read, bool write) {
  if (read && write) return O_RDWR;
  return write ? O_WRONLY : O_RDONLY;
}

}  // namespace

Errno Wasi::ReadPath(Memory m, uint64_t pointer, uint64_t size, std::string& path) {
  std::span<uint8_t> bytes;
  if (size >= kMaxPathBytes) return Errno::kNametoolong;
  if (!m.Slice(pointer, size, bytes)) return Errno::kFault;
  path.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (path.empty()) return Errno::kNoent;
  return path.find('\0') == std::string::npos ? Errno::kSuccess : Errno::kIlseq;
}

Errno Wasi::FindFolder(uint64_t fd, Access access, Descriptor*& folder) {
  folder = Find(fd);
  if (folder == nullptr) return Errno::kBadf;
  if (folder->kind != Kind::kFolder) return Errno::kNotdir;
  if (const Errno error = NeedScratch(*folder); error != Errno::kSuccess) return error;
  return access == Access::kWrite && !folder->writable ? Errno::kRofs : Errno::kSuccess;
}

Errno Wasi::FindPlace(Memory m, uint64_t fd, uint64_t pointer, uint64_t size, Access access,
                      Place& place) {
  Descriptor* folder = nullptr;
  std::string path;
  if (const Errno e = FindFolder(fd, access, folder); e != Errno::kSuccess) return e;
  if (const Errno e = ReadPath(m, pointer, size, path); e != Errno::kSuccess) return e;
  if (path.front() == '/') return Errno::kPerm;
  const bool names_folder = path.back() == '/';
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  const size_t slash = path.rfind('/');
  place.name = slash == std::string::npos ? path : path.substr(slash + 1);
  if (place.name == "..") return Errno::kPerm;
  place.folder = folder->fd;
  place.in_scratch = static_cast<bool>(folder->scratch);
  if (slash != std::string::npos) {
    const Errno e =
        OpenBeneath(folder->fd, path.substr(0, slash), O_PATH | O_DIRECTORY, 0, place.owned);
    if (e != Errno::kSuccess) return e;
    place.folder = place.owned.get();
  }
  // "name/" asks for a folder. The slash itself is not passed on: it would make the kernel follow a
  // link at the path's end.
  struct stat stat {};
  if (names_folder &&
      ::fstatat(place.folder, place.name.c_str(), &stat, AT_SYMLINK_NOFOLLOW) == 0 &&
      !S_ISDIR(stat.st_mode)) {
    return Errno::kNotdir;
  }
  return Errno::kSuccess;
}

uint32_t Wasi::PathOpen(Memory m, Arguments a) {
  Descriptor* folder = nullptr;
  std::string path;
  if (const Errno e = FindFolder(a[0], Access::kRead, folder); e != Errno::kSuccess) return Code(e);
  if (const Errno e = ReadPath(m, a[2], a[3], path); e != Errno::kSuccess) return Code(e);
  const auto open_flags = static_cast<uint16_t>(a[4]);
  const auto fd_flags = static_cast<uint16_t>(a[7]);
  if ((fd_flags & (kFdDsync | kFdRsync | kFdSync)) != 0) return Code(Errno::kNotsup);
  const bool wants_folder = (open_flags & kOpenDirectory) != 0;
  const bool changes = (open_flags & (kOpenCreate | kOpenTruncate)) != 0;
  const bool read = (a[5] & (kRightsFdRead | kRightsFdReaddir)) != 0;
  const bool write = !wants_folder &&
                     (a[5] & (kRightsFdWrite | kRightsFdAllocate | kRightsFdFilestatSetSize)) != 0;
  if ((write || changes) && !folder->writable) return Code(Errno::kRofs);

  // O_NONBLOCK: opening a FIFO must not wait for its other end.
  int flags = O_NONBLOCK | O_NOCTTY | AccessMode(read, write);
  if ((a[1] & kLookupFollow) == 0) flags |= O_NOFOLLOW;
  if ((open_flags & kOpenCreate) != 0) flags |= O_CREAT;
  if ((open_flags & kOpenExclusive) != 0) flags |= O_EXCL;
  if ((open_flags & kOpenTruncate) != 0) flags |= O_TRUNC;
  if (wants_folder) flags |= O_DIRECTORY;
  if ((fd_flags & kFdAppend) != 0) flags |= O_APPEND;
  UniqueFd opened;
  const mode_t mode = (flags & O_CREAT) != 0 ? 0666 : 0;
  Errno error = folder->scratch ? OpenInScratch(scratch_, folder->fd, path, flags, mode, opened)
                                : OpenBeneath(folder->fd, path, flags, mode, opened);
  if (error == Errno::kIsdir && !changes) {
    // Asked for with write access, as some C libraries do for folders too.
    error = OpenBeneath(folder->fd, path, (flags & ~O_ACCMODE) | O_RDONLY, 0, opened);
  }
  if (error != Errno::kSuccess) return Code(error);
  struct stat stat {};
  if (::fstat(opened.get(), &stat) != 0) return Code(FromErrno(errno));
  Descriptor descriptor{.readable = read, .writable = write, .flags = fd_flags, .fd = opened.get()};
  if (folder->scratch) descriptor.scratch = scratch_.Open(stat);
  if (S_ISDIR(stat.st_mode)) {
    descriptor.kind = Kind::kFolder;
    descriptor.writable = folder->writable;
  } else if (S_ISREG(stat.st_mode)) {
    descriptor.kind = Kind::kFile;
  } else {
    return Code(Errno::kAccess);
  }
  descriptor.owned = std::move(opened);
  uint32_t fd = 0;
  error = Add(std::move(descriptor), fd);
  if (error != Errno::kSuccess) return Code(error);
  return Code(m.Write(a[8], fd) ? Errno::kSuccess : Errno::kFault);
}

uint32_t Wasi::PathCreateDirectory(Memory m, Arguments a) {
  Place place;
  const Errno error = FindPlace(m, a[0], a[1], a[2], Access::kWrite, place);
  if (error != Errno::kSuccess) return Code(error);
  return FromResult(place.in_scratch ? scratch_.Mkdirat(place.folder, place.name.c_str(), 0777)
                                     : ::mkdirat(place.folder, place.name.c_str(), 0777));
}

uint32_t Wasi::Unlink(Memory m, Arguments a, int flags) {
  Place place;
  const Errno error = FindPlace(m, a[0], a[1], a[2], Access::kWrite, place);
  if (error != Errno::kSuccess) return Code(error);
  return FromResult(place.in_scratch ? scratch_.Unlinkat(place.folder, place.name.c_str(), flags)
                                     : ::unlinkat(place.folder, place.name.c_str(), flags));
}

uint32_t Wasi::PathRemoveDirectory(Memory m, Arguments a) { return Unlink(m, a, AT_REMOVEDIR); }

uint32_t Wasi::PathUnlinkFile(Memory m, Arguments a) { return Unlink(m, a, 0); }

uint32_t Wasi::PathRename(Memory m, Arguments a) {
  Place from;
  Place to;
  Errno error = FindPlace(m, a[0], a[1], a[2], Access::kWrite, from);
  if (error != Errno::kSuccess) return Code(error);
  error = FindPlace(m, a[3], a[4], a[5], Access::kWrite, to);
  if (error != Errno::kSuccess) return Code(error);
  if (from.in_scratch != to.in_scratch) return Code(Errno::kXdev);
  const char* name = from.name.c_str();
  const char* new_name = to.name.c_str();
  return FromResult(from.in_scratch ? scratch_.Renameat(from.folder, name, to.folder, new_name)
                                    : ::renameat(from.folder, name, to.folder, new_name));
}

uint32_t Wasi::PathLink(Memory m, Arguments a) {
  // A link to what a link names would have to be resolved by linkat, which cannot stay below.
  if ((a[1] & kLookupFollow) != 0) return Code(Errno::kInval);
  Place from;
  Place to;
  Errno error = FindPlace(m, a[0], a[2], a[3], Access::kWrite, from);
  if (error != Errno::kSuccess) return Code(error);
  error = FindPlace(m, a[4], a[5], a[6], Access::kWrite, to);
  if (error != Errno::kSuccess) return Code(error);
  if (from.in_scratch != to.in_scratch) return Code(Errno::kXdev);
  const char* name = from.name.c_str();
  const char* new_name = to.name.c_str();
  return FromResult(from.in_scratch ? scratch_.Linkat(from.folder, name, to.folder, new_name)
                                    : ::linkat(from.folder, name, to.folder, new_name, 0));
}

uint32_t Wasi::PathSymlink(Memory m, Arguments a) {
  std::string target;
  if (const Errno e = ReadPath(m, a[0], a[1], target); e != Errno::kSuccess) return Code(e);
  // Absolute targets would name the host's files to whoever else reads the folder.
  if (target.front() == '/') return Code(Errno::kPerm);
  Place place;
  const Errno error = FindPlace(m, a[2], a[3], a[4], Access::kWrite, place);
  if (error != Errno::kSuccess) return Code(error);
  const char* name = place.name.c_str();
  return FromResult(place.in_scratch ? scratch_.Symlinkat(target.c_str(), place.folder, name)
                                     : ::symlinkat(target.c_str(), place.folder, name));
}

uint32_t Wasi::PathReadlink(Memory m, Arguments a) {
  Place place;
  const Errno error = FindPlace(m, a[0], a[1], a[2], Access::kRead, place);
  if (error != Errno::kSuccess) return Code(error);
  std::span<uint8_t> out;
  if (!m.Slice(a[3], a[4], out)) return Code(Errno::kFault);
  std::array<char, kMaxPathBytes> target;
  const ssize_t size = ::readlinkat(place.folder, place.name.c_str(), target.data(), target.size());
  if (size < 0) return Code(FromErrno(errno));
  const size_t copied = std::min(static_cast<size_t>(size), out.size());
  std::copy_n(target.begin(), copied, out.begin());
  return Code(m.Write(a[5], static_cast<uint32_t>(copied)) ? Errno::kSuccess : Errno::kFault);
}

uint32_t Wasi::PathFilestatGet(Memory m, Arguments a) {
  Descriptor* folder = nullptr;
  std::string path;
  if (const Errno e = FindFolder(a[0], Access::kRead, folder); e != Errno::kSuccess) return Code(e);
  if (const Errno e = ReadPath(m, a[2], a[3], path); e != Errno::kSuccess) return Code(e);
  UniqueFd opened;
  const int flags = O_PATH | ((a[1] & kLookupFollow) == 0 ? O_NOFOLLOW : 0);
  const Errno error = OpenBeneath(folder->fd, path, flags, 0, opened);
  if (error != Errno::kSuccess) return Code(error);
  struct stat stat {};
  if (::fstat(opened.get(), &stat) != 0) return Code(FromErrno(errno));
  return Code(m.Write(a[4], FromStat(stat)) ? Errno::kSuccess : Errno::kFault);
}

uint32_t Wasi::PathFilestatSetTimes(Memory m, Arguments a) {
  const auto flags = static_cast<uint16_t>(a[6]);
  if ((a[1] & kLookupFollow) == 0) {
    Place place;
    const Errno error = FindPlace(m, a[0], a[2], a[3], Access::kWrite, place);
    if (error != Errno::kSuccess) return Code(error);
    return SetTimes(place.folder, place.name.c_str(), AT_SYMLINK_NOFOLLOW, a[4], a[5], flags);
  }
  Descriptor* folder = nullptr;
  std::string path;
  if (const Errno e = FindFolder(a[0], Access::kWrite, folder); e != Errno::kSuccess) {
    return Code(e);
  }
  if (const Errno e = ReadPath(m, a[2], a[3], path); e != Errno::kSuccess) return Code(e);
  UniqueFd opened;
  const Errno error = OpenBeneath(folder->fd, path, O_RDONLY | O_NONBLOCK, 0, opened);
  if (error != Errno::kSuccess) return Code(error);
  return SetTimes(opened.get(), nullptr, 0, a[4], a[5], flags);
}

uint32_t Wasi::SetTimes(int fd, const char* path, int at_flags, uint64_t atim, uint64_t mtim,
                        uint16_t flags) {
  const auto pick = [flags](uint64_t ns, uint16_t given, uint16_t now) -> timespec {
    if ((flags & now) != 0) return {.tv_sec = 0, .tv_nsec = UTIME_NOW};
    if ((flags & given) == 0) return {.tv_sec = 0, .tv_nsec = UTIME_OMIT};
    return {.tv_sec = static_cast<time_t>(ns / 1'000'000'000),
            .tv_nsec = static_cast<long>(ns % 1'000'000'000)};
  };
  const auto both = [flags](uint16_t one, uint16_t other) {
    return (flags & one) != 0 && (flags & other) != 0;
  };
  if (both(kSetAccessTime, kSetAccessTimeNow) ||
      both(kSetModificationTime, kSetModificationTimeNow)) {
    return Code(Errno::kInval);
  }
  const timespec times[2] = {pick(atim, kSetAccessTime, kSetAccessTimeNow),
                             pick(mtim, kSetModificationTime, kSetModificationTimeNow)};
  return FromResult(path != nullptr ? ::utimensat(fd, path, times, at_flags)
                                    : ::futimens(fd, times));
}

}  // namespace hybridserve::wasi
