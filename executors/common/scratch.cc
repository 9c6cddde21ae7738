// Removal takes no recursion and a fixed number of descriptors, however deep a guest's folders are:
// a folder that is found in another is moved up beside it, into the parent, and emptied in its
// turn.
#include "executors/common/scratch.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <limits>
#include <memory>
#include <utility>

namespace hybridserve::wasi {
namespace {

struct CloseFolder {
  void operator()(DIR* folder) const { ::closedir(folder); }
};

int FailWith(int error_number) {
  errno = error_number;
  return -1;
}

uint64_t ContentOf(const struct stat& stat) {
  return S_ISREG(stat.st_mode) ? static_cast<uint64_t>(stat.st_size) : 0;
}

int Look(int folder, const char* name, struct stat& stat) {
  return ::fstatat(folder, name, &stat, AT_SYMLINK_NOFOLLOW);
}

}  // namespace

Scratch::Use& Scratch::Use::operator=(Use&& other) noexcept {
  if (this == &other) return *this;
  Reset();
  scratch_ = std::exchange(other.scratch_, nullptr);
  number_ = other.number_;
  inode_ = other.inode_;
  return *this;
}

void Scratch::Use::Reset() {
  Scratch* scratch = std::exchange(scratch_, nullptr);
  if (scratch == nullptr || --inode_->descriptors != 0) return;
  if (!inode_->named) scratch->Forget(inode_->bytes);
  scratch->open_.erase(number_);
}

void Scratch::Begin(const Spec& spec) {
  End();
  spec_ = spec;
  used_bytes_ = 0;
  names_ = 0;
}

int Scratch::Folder() {
  if (folder_) return folder_.get();
  const std::string name = Name(0);
  if (::mkdirat(spec_.parent, name.c_str(), 0700) != 0) return -1;
  UniqueFd made(::openat(spec_.parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  struct stat stat {};
  if (!made || ::fstat(made.get(), &stat) != 0) {
    const int why = errno;
    (void)::unlinkat(spec_.parent, name.c_str(), AT_REMOVEDIR);
    return FailWith(why);
  }
  root_ = stat.st_ino;
  folder_ = std::move(made);
  return folder_.get();
}

void Scratch::End() {
  if (!folder_) return;
  folder_.Reset();
  uint64_t moved = 0;
  for (uint64_t next = 0; next <= moved; ++next) {
    const std::string name = Name(next);
    if (::unlinkat(spec_.parent, name.c_str(), AT_REMOVEDIR) == 0) continue;
    Empty(name, moved);
    (void)::unlinkat(spec_.parent, name.c_str(), AT_REMOVEDIR);
  }
}

void Scratch::Empty(const std::string& name, uint64_t& moved) const {
  constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  const int fd = ::openat(spec_.parent, name.c_str(), kFlags);
  if (fd < 0) return;
  const std::unique_ptr<DIR, CloseFolder> folder(::fdopendir(fd));
  if (!folder) {
    ::close(fd);
    return;
  }
  while (const dirent* entry = ::readdir(folder.get())) {
    if (std::strcmp(entry->d_name, ".") == 0 || std::strcmp(entry->d_name, "..") == 0) continue;
    if (::unlinkat(fd, entry->d_name, 0) == 0 || errno != EISDIR) continue;
    ++moved;
    (void)::renameat(fd, entry->d_name, spec_.parent, Name(moved).c_str());
  }
}

std::string Scratch::Name(uint64_t moved) const {
  const std::string name = std::to_string(spec_.number);
  return moved == 0 ? name : name + "." + std::to_string(moved);
}

Scratch::Use Scratch::Open(const struct stat& opened) {
  const auto [entry, is_new] = open_.try_emplace(opened.st_ino);
  Inode& inode = entry->second;
  if (is_new) inode.bytes = ContentOf(opened);
  ++inode.descriptors;
  return {this, opened.st_ino, &inode};
}

int Scratch::AddName() {
  if (names_ >= kMaxNames || room() < kNameBytes) return FailWith(ENOSPC);
  ++names_;
  used_bytes_ += kNameBytes;
  return 0;
}

void Scratch::Forget(uint64_t bytes) {
  --names_;
  used_bytes_ -= kNameBytes + bytes;
}

int Scratch::Keep(int made) {
  if (made != 0) TakeBackName();
  return made;
}

void Scratch::SetSize(Inode& inode, uint64_t bytes) {
  used_bytes_ = used_bytes_ - inode.bytes + bytes;
  inode.bytes = bytes;
}

void Scratch::Emptied(const struct stat& before) {
  used_bytes_ -= ContentOf(before);
  const auto found = open_.find(before.st_ino);
  if (found != open_.end()) found->second.bytes = 0;
}

void Scratch::NameGone(const struct stat& before) {
  const bool last = S_ISDIR(before.st_mode) || before.st_nlink == 1;
  const auto found = open_.find(before.st_ino);
  if (last && found != open_.end()) {
    found->second.named = false;
  } else {
    Forget(last ? ContentOf(before) : 0);
  }
}

ssize_t Scratch::Write(const Use& use, int fd, std::span<const uint8_t> bytes, At at,
                       off_t offset) {
  Inode& inode = *use.inode_;
  off_t start = offset;
  if (at == At::kEnd) start = static_cast<off_t>(inode.bytes);
  if (at == At::kPosition) start = ::lseek(fd, 0, SEEK_CUR);
  if (start < 0) return FailWith(EINVAL);
  const uint64_t begin = static_cast<uint64_t>(start);
  const uint64_t farthest = inode.bytes + room();
  if (begin >= farthest) return FailWith(ENOSPC);
  if (bytes.size() > farthest - begin) bytes = bytes.first(farthest - begin);
  const ssize_t done = at == At::kOffset ? ::pwrite(fd, bytes.data(), bytes.size(), start)
                                         : ::write(fd, bytes.data(), bytes.size());
  if (done > 0 && begin + static_cast<uint64_t>(done) > inode.bytes) {
    SetSize(inode, begin + static_cast<uint64_t>(done));
  }
  return done;
}

int Scratch::Ftruncate(const Use& use, int fd, off_t size) {
  if (size < 0) return FailWith(EINVAL);
  const auto bytes = static_cast<uint64_t>(size);
  if (bytes > use.inode_->bytes + room()) return FailWith(ENOSPC);
  if (::ftruncate(fd, size) != 0) return -1;
  SetSize(*use.inode_, bytes);
  return 0;
}

int Scratch::Fallocate(const Use& use, int fd, off_t offset, off_t bytes) {
  if (offset < 0 || bytes <= 0) return FailWith(EINVAL);
  if (bytes > std::numeric_limits<off_t>::max() - offset) return FailWith(EFBIG);
  const off_t end = offset + bytes;
  if (static_cast<uint64_t>(end) <= use.inode_->bytes) return 0;
  return Ftruncate(use, fd, end);
}

int Scratch::Mkdirat(int folder, const char* name, mode_t mode) {
  if (DepthOf(folder) >= kMaxDepth) return FailWith(EMLINK);
  if (AddName() != 0) return -1;
  return Keep(::mkdirat(folder, name, mode));
}

int Scratch::Unlinkat(int folder, const char* name, int flags) {
  struct stat before {};
  if (Look(folder, name, before) != 0 || ::unlinkat(folder, name, flags) != 0) return -1;
  NameGone(before);
  return 0;
}

int Scratch::Renameat(int from, const char* name, int to, const char* new_name) {
  struct stat moved {};
  struct stat replaced {};
  if (Look(from, name, moved) != 0) return -1;
  // Two names of one file: the kernel leaves both.
  const bool replaces = Look(to, new_name, replaced) == 0 && replaced.st_ino != moved.st_ino;
  if (S_ISDIR(moved.st_mode) && IsTooDeep(moved, from, to)) return FailWith(EXDEV);
  if (::renameat(from, name, to, new_name) != 0) return -1;
  if (replaces) NameGone(replaced);
  return 0;
}

int Scratch::Linkat(int from, const char* name, int to, const char* new_name) {
  if (AddName() != 0) return -1;
  return Keep(::linkat(from, name, to, new_name, 0));
}

int Scratch::Symlinkat(const char* target, int folder, const char* name) {
  if (AddName() != 0) return -1;
  return Keep(::symlinkat(target, folder, name));
}

int Scratch::DepthOf(int folder) const {
  UniqueFd above;
  int at = folder;
  for (int depth = 0; depth <= kMaxDepth; ++depth) {
    struct stat stat {};
    if (::fstat(at, &stat) == 0 && stat.st_ino == root_) return depth;
    above = UniqueFd(::openat(at, "..", O_PATH | O_DIRECTORY | O_CLOEXEC));
    at = above.get();
  }
  return kMaxDepth + 1;
}

bool Scratch::IsTooDeep(const struct stat& moved, int from, int to) const {
  const int depth = DepthOf(to);
  if (depth <= DepthOf(from)) return false;
  constexpr nlink_t kNoFolders = 2;  // Its name, and its own ".".
  return depth >= kMaxDepth || moved.st_nlink != kNoFolders;
}

}  // namespace hybridserve::wasi
