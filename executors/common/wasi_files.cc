// Descriptors of preview 1: the three streams, and files of granted folders and of /tmp; the socket
// is in wasi_sockets.cc.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "executors/common/wasi.h"
#include "executors/common/wasi_errno.h"

namespace hybridserve::wasi {
namespace {

constexpr uint32_t kOk = 0;
// What one guest may hold open, and how many buffers one read or write may name.
constexpr size_t kMaxDescriptors = 256;
constexpr uint32_t kMaxVectors = 1024;
constexpr size_t kReaddirBytes = 32 * 1024;

uint32_t Code(Errno error) { return static_cast<uint32_t>(error); }
uint32_t FromResult(int64_t result) { return result < 0 ? Code(FromErrno(errno)) : kOk; }

// What getdents64 writes (struct linux_dirent64 of the kernel's headers).
struct KernelDirent {
  uint64_t ino;
  int64_t next;
  uint16_t record_bytes;
  uint8_t type;
};
constexpr size_t kNameOffset = 19;

FileType FromDirentType(uint8_t type) {
  switch (type) {
    case DT_DIR:
      return FileType::kDirectory;
    case DT_REG:
      return FileType::kRegularFile;
    case DT_LNK:
      return FileType::kSymbolicLink;
    default:
      return FileType::kUnknown;
  }
}

}  // namespace

Wasi::Descriptor* Wasi::Find(uint64_t fd) {
  if (fd >= descriptors_.size() || descriptors_[fd].kind == Kind::kClosed) return nullptr;
  return &descriptors_[fd];
}

Wasi::Descriptor* Wasi::FindFile(uint64_t fd) {
  Descriptor* descriptor = Find(fd);
  const bool file = descriptor != nullptr && descriptor->fd >= 0;
  return file && descriptor->kind != Kind::kSocket ? descriptor : nullptr;
}

Errno Wasi::Add(Descriptor descriptor, uint32_t& fd) {
  const auto free = std::find_if(descriptors_.begin(), descriptors_.end(),
                                 [](const Descriptor& d) { return d.kind == Kind::kClosed; });
  if (free == descriptors_.end() && descriptors_.size() >= kMaxDescriptors) return Errno::kMfile;
  fd = static_cast<uint32_t>(free - descriptors_.begin());
  if (free == descriptors_.end()) {
    descriptors_.push_back(std::move(descriptor));
  } else {
    *free = std::move(descriptor);
  }
  return Errno::kSuccess;
}

Errno Wasi::NeedScratch(Descriptor& descriptor) {
  if (descriptor.kind != Kind::kFolder || descriptor.fd >= 0) return Errno::kSuccess;
  const int folder = scratch_.Folder();
  struct stat stat {};
  if (folder < 0 || ::fstat(folder, &stat) != 0) return FromErrno(errno);
  descriptor.fd = folder;
  descriptor.scratch = scratch_.Open(stat);
  return Errno::kSuccess;
}

uint32_t Wasi::FdClose(Memory /*m*/, Arguments a) {
  Descriptor* descriptor = Find(a[0]);
  if (descriptor == nullptr) return Code(Errno::kBadf);
  *descriptor = Descriptor{};
  return kOk;
}

uint32_t Wasi::FdRenumber(Memory /*m*/, Arguments a) {
  Descriptor* from = Find(a[0]);
  Descriptor* to = Find(a[1]);
  if (from == nullptr || to == nullptr) return Code(Errno::kBadf);
  if (from == to) return kOk;
  *to = std::move(*from);
  *from = Descriptor{};
  return kOk;
}

uint32_t Wasi::FdFdstatGet(Memory m, Arguments a) {
  const Descriptor* descriptor = Find(a[0]);
  if (descriptor == nullptr) return Code(Errno::kBadf);
  Fdstat stat{.flags = descriptor->flags};
  // The streams are of no type that a C library takes for a terminal, so it buffers them fully.
  switch (descriptor->kind) {
    case Kind::kFolder:
      stat.filetype = FileType::kDirectory;
      stat.rights_base = kRightsAll;
      stat.rights_inheriting = kRightsAll;
      break;
    case Kind::kFile:
      stat.filetype = FileType::kRegularFile;
      stat.rights_base = kRightsAll;
      if (!descriptor->readable) stat.rights_base &= ~kRightsFdRead;
      if (!descriptor->writable) stat.rights_base &= ~kRightsFdWrite;
      break;
    case Kind::kSocket:
      stat.filetype = FileType::kSocketStream;
      stat.rights_base =
          kRightsFdRead | kRightsFdWrite | kRightsPollFdReadwrite | kRightsSockShutdown;
      break;
    case Kind::kInput:
      stat.rights_base = kRightsFdRead | kRightsPollFdReadwrite;
      break;
    default:
      stat.rights_base = kRightsFdWrite | kRightsPollFdReadwrite;
      break;
  }
  return Code(m.Write(a[1], stat) ? Errno::kSuccess : Errno::kFault);
}

uint32_t Wasi::FdFdstatSetFlags(Memory /*m*/, Arguments a) {
  Descriptor* descriptor = Find(a[0]);
  if (descriptor == nullptr) return Code(Errno::kBadf);
  const auto flags = static_cast<uint16_t>(a[1]);
  if ((flags & (kFdDsync | kFdRsync | kFdSync)) != 0) return Code(Errno::kNotsup);
  if (descriptor->kind == Kind::kFile) {
    const int kernel = (flags & kFdAppend) != 0 ? O_APPEND : 0;
    if (::fcntl(descriptor->fd, F_SETFL, kernel) != 0) return Code(FromErrno(errno));
  }
  descriptor->flags = flags;
  return kOk;
}

// Rights are gone from later versions of WASI; giving some up has no effect here.
uint32_t Wasi::FdFdstatSetRights(Memory /*m*/, Arguments a) {
  return Code(Find(a[0]) == nullptr ? Errno::kBadf : Errno::kSuccess);
}

Errno Wasi::ReadIovecs(Memory m, uint64_t pointer, uint64_t count) {
  if (count > kMaxVectors) return Errno::kInval;
  vectors_.clear();
  for (uint64_t i = 0; i < count; ++i) {
    Iovec vector;
    std::span<uint8_t> bytes;
    if (!m.Read(pointer + i * sizeof(vector), vector)) return Errno::kFault;
    if (!m.Slice(vector.pointer, vector.size, bytes)) return Errno::kFault;
    if (!bytes.empty()) vectors_.push_back(bytes);
  }
  return Errno::kSuccess;
}

// At `offset`, or where the file's position is.
ssize_t Wasi::WriteSome(const Descriptor& file, std::span<const uint8_t> bytes,
                        const off_t* offset) {
  if (file.scratch) {
    auto at = offset != nullptr ? Scratch::At::kOffset : Scratch::At::kPosition;
    if ((file.flags & kFdAppend) != 0) at = Scratch::At::kEnd;
    return scratch_.Write(file.scratch, file.fd, bytes, at, offset != nullptr ? *offset : 0);
  }
  return offset != nullptr ? ::pwrite(file.fd, bytes.data(), bytes.size(), *offset)
                           : ::write(file.fd, bytes.data(), bytes.size());
}

uint32_t Wasi::Vector(Memory m, Arguments a, bool write, bool positioned) {
  Descriptor* file = FindFile(a[0]);
  if (file == nullptr || file->kind == Kind::kFolder) return Code(Errno::kBadf);
  if (write ? !file->writable : !file->readable) return Code(Errno::kBadf);
  if (const Errno error = ReadIovecs(m, a[1], a[2]); error != Errno::kSuccess) return Code(error);
  const uint64_t result_at = a[positioned ? 4 : 3];
  uint64_t total = 0;
  for (const std::span<uint8_t> bytes : vectors_) {
    const auto offset = static_cast<off_t>(positioned ? a[3] + total : 0);
    ssize_t done = 0;
    if (write) {
      done = WriteSome(*file, bytes, positioned ? &offset : nullptr);
    } else {
      done = positioned ? ::pread(file->fd, bytes.data(), bytes.size(), offset)
                        : ::read(file->fd, bytes.data(), bytes.size());
    }
    if (done < 0 && total == 0) return Code(FromErrno(errno));
    if (done <= 0) break;
    total += static_cast<uint64_t>(done);
    if (static_cast<size_t>(done) < bytes.size()) break;
  }
  return Code(m.Write(result_at, static_cast<uint32_t>(total)) ? Errno::kSuccess : Errno::kFault);
}

uint32_t Wasi::WriteStream(Memory m, OutputSink& sink, bool bounded, Arguments a) {
  if (const Errno error = ReadIovecs(m, a[1], a[2]); error != Errno::kSuccess) return Code(error);
  uint64_t total = 0;
  for (const std::span<uint8_t> bytes : vectors_) {
    std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    total += text.size();
    if (!bounded) text = text.substr(0, sink.limit_bytes() - sink.size());
    if (!sink.Write(text)) return Stopped(StopReason::kOutputLimit);
  }
  return Code(m.Write(a[3], static_cast<uint32_t>(total)) ? Errno::kSuccess : Errno::kFault);
}

uint32_t Wasi::FdWrite(Memory m, Arguments a) {
  const Descriptor* descriptor = Find(a[0]);
  if (descriptor == nullptr) return Code(Errno::kBadf);
  if (descriptor->kind == Kind::kOutput) return WriteStream(m, output_, /*bounded=*/true, a);
  // A log that is full drops the rest: writing to it never fails a guest.
  if (descriptor->kind == Kind::kLog) return WriteStream(m, log_, /*bounded=*/false, a);
  if (descriptor->kind == Kind::kSocket) {
    const uint64_t send[] = {a[0], a[1], a[2], 0, a[3]};
    return SockSend(m, send);
  }
  return Vector(m, a, /*write=*/true, /*positioned=*/false);
}

uint32_t Wasi::FdRead(Memory m, Arguments a) {
  const Descriptor* descriptor = Find(a[0]);
  if (descriptor == nullptr) return Code(Errno::kBadf);
  if (descriptor->kind == Kind::kSocket) {
    if (const Errno error = ReadIovecs(m, a[1], a[2]); error != Errno::kSuccess) return Code(error);
    return Receive(m, *Find(a[0]), 0, a[3]);
  }
  if (descriptor->kind != Kind::kInput) {
    return Vector(m, a, /*write=*/false, /*positioned=*/false);
  }
  if (const Errno error = ReadIovecs(m, a[1], a[2]); error != Errno::kSuccess) return Code(error);
  uint64_t total = 0;
  for (const std::span<uint8_t> bytes : vectors_) {
    const std::string_view piece = invocation_.body.substr(body_position_, bytes.size());
    std::copy(piece.begin(), piece.end(), bytes.begin());
    body_position_ += piece.size();
    total += piece.size();
  }
  return Code(m.Write(a[3], static_cast<uint32_t>(total)) ? Errno::kSuccess : Errno::kFault);
}

uint32_t Wasi::FdPread(Memory m, Arguments a) {
  const Descriptor* descriptor = Find(a[0]);
  if (descriptor != nullptr && FindFile(a[0]) == nullptr) return Code(Errno::kSpipe);
  return Vector(m, a, /*write=*/false, /*positioned=*/true);
}

uint32_t Wasi::FdPwrite(Memory m, Arguments a) {
  const Descriptor* descriptor = Find(a[0]);
  if (descriptor != nullptr && FindFile(a[0]) == nullptr) return Code(Errno::kSpipe);
  return Vector(m, a, /*write=*/true, /*positioned=*/true);
}

uint32_t Wasi::FdSeek(Memory m, Arguments a) {
  const Descriptor* descriptor = Find(a[0]);
  if (descriptor == nullptr || descriptor->kind == Kind::kFolder) return Code(Errno::kBadf);
  if (descriptor->kind != Kind::kFile) return Code(Errno::kSpipe);
  constexpr int kWhence[] = {SEEK_SET, SEEK_CUR, SEEK_END};
  if (a[2] > kWhenceEnd) return Code(Errno::kInval);
  const off_t position = ::lseek(descriptor->fd, static_cast<off_t>(a[1]), kWhence[a[2]]);
  if (position < 0) return Code(FromErrno(errno));
  return Code(m.Write(a[3], static_cast<uint64_t>(position)) ? Errno::kSuccess : Errno::kFault);
}

uint32_t Wasi::FdTell(Memory m, Arguments a) {
  const uint64_t arguments[] = {a[0], 0, kWhenceCurrent, a[1]};
  return FdSeek(m, arguments);
}

uint32_t Wasi::FdAdvise(Memory /*m*/, Arguments a) {
  return Code(FindFile(a[0]) == nullptr ? Errno::kBadf : Errno::kSuccess);
}

uint32_t Wasi::FdAllocate(Memory /*m*/, Arguments a) {
  const Descriptor* file = FindFile(a[0]);
  if (file == nullptr || !file->writable || file->kind != Kind::kFile) return Code(Errno::kBadf);
  const auto offset = static_cast<off_t>(a[1]);
  const auto bytes = static_cast<off_t>(a[2]);
  return FromResult(file->scratch ? scratch_.Fallocate(file->scratch, file->fd, offset, bytes)
                                  : ::fallocate(file->fd, 0, offset, bytes));
}

uint32_t Wasi::FdDatasync(Memory /*m*/, Arguments a) {
  const Descriptor* file = FindFile(a[0]);
  if (file == nullptr) return Code(Find(a[0]) == nullptr ? Errno::kBadf : Errno::kInval);
  return FromResult(::fdatasync(file->fd));
}

uint32_t Wasi::FdSync(Memory /*m*/, Arguments a) {
  const Descriptor* file = FindFile(a[0]);
  if (file == nullptr) return Code(Find(a[0]) == nullptr ? Errno::kBadf : Errno::kInval);
  return FromResult(::fsync(file->fd));
}

uint32_t Wasi::FdFilestatGet(Memory m, Arguments a) {
  Descriptor* descriptor = Find(a[0]);
  if (descriptor == nullptr) return Code(Errno::kBadf);
  if (const Errno error = NeedScratch(*descriptor); error != Errno::kSuccess) return Code(error);
  Filestat stat;
  if (descriptor->kind == Kind::kSocket) {
    stat.filetype = FileType::kSocketStream;
  } else if (descriptor->fd >= 0) {
    struct stat kernel {};
    if (::fstat(descriptor->fd, &kernel) != 0) return Code(FromErrno(errno));
    stat = FromStat(kernel);
  }
  return Code(m.Write(a[1], stat) ? Errno::kSuccess : Errno::kFault);
}

uint32_t Wasi::FdFilestatSetSize(Memory /*m*/, Arguments a) {
  const Descriptor* file = FindFile(a[0]);
  if (file == nullptr || file->kind != Kind::kFile) return Code(Errno::kBadf);
  if (!file->writable) return Code(Errno::kInval);  // As ftruncate says.
  const auto size = static_cast<off_t>(a[1]);
  return FromResult(file->scratch ? scratch_.Ftruncate(file->scratch, file->fd, size)
                                  : ::ftruncate(file->fd, size));
}

uint32_t Wasi::FdFilestatSetTimes(Memory /*m*/, Arguments a) {
  const Descriptor* file = FindFile(a[0]);
  if (file == nullptr || !file->writable) return Code(Errno::kBadf);
  return SetTimes(file->fd, nullptr, 0, a[1], a[2], static_cast<uint16_t>(a[3]));
}

uint32_t Wasi::FdPrestatGet(Memory m, Arguments a) {
  const Descriptor* descriptor = Find(a[0]);
  if (descriptor == nullptr || descriptor->preopened == nullptr) return Code(Errno::kBadf);
  const uint32_t prestat[2] = {0, static_cast<uint32_t>(descriptor->preopened->guest_path.size())};
  return Code(m.WriteBytes(a[1], prestat, sizeof(prestat)) ? Errno::kSuccess : Errno::kFault);
}

uint32_t Wasi::FdPrestatDirName(Memory m, Arguments a) {
  const Descriptor* descriptor = Find(a[0]);
  if (descriptor == nullptr || descriptor->preopened == nullptr) return Code(Errno::kBadf);
  const std::string& path = descriptor->preopened->guest_path;
  if (a[2] < path.size()) return Code(Errno::kNametoolong);
  return Code(m.WriteBytes(a[1], path.data(), path.size()) ? Errno::kSuccess : Errno::kFault);
}

// The kernel's directory offsets serve as cookies. The last entry may be cut off at the buffer's
// end, which tells the guest that there is more.
uint32_t Wasi::FdReaddir(Memory m, Arguments a) {
  Descriptor* folder = nullptr;
  if (const Errno e = FindFolder(a[0], Access::kRead, folder); e != Errno::kSuccess) return Code(e);
  std::span<uint8_t> out;
  if (!m.Slice(a[1], a[2], out)) return Code(Errno::kFault);
  if (!folder->owned) {
    // A granted folder's descriptor is shared, and so would be its position.
    folder->owned.Reset(::openat(folder->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!folder->owned) return Code(FromErrno(errno));
    folder->fd = folder->owned.get();
  }
  if (::lseek(folder->fd, static_cast<off_t>(a[3]), SEEK_SET) < 0) return Code(FromErrno(errno));
  std::string buffer(std::clamp<size_t>(out.size(), 1024, kReaddirBytes), '\0');
  size_t used = 0;
  while (used < out.size()) {
    const long got = ::syscall(SYS_getdents64, folder->fd, buffer.data(), buffer.size());
    if (got < 0) return Code(FromErrno(errno));
    if (got == 0) break;
    for (size_t at = 0; at < static_cast<size_t>(got) && used < out.size();) {
      KernelDirent entry;
      std::memcpy(&entry, buffer.data() + at, kNameOffset);
      const std::string_view name(buffer.data() + at + kNameOffset);
      at += entry.record_bytes;
      Dirent dirent{.next = static_cast<uint64_t>(entry.next),
                    .ino = name == ".." ? 0 : entry.ino,  // Of a folder that is not the guest's.
                    .name_bytes = static_cast<uint32_t>(name.size()),
                    .type = FromDirentType(entry.type)};
      const size_t head = std::min(sizeof(dirent), out.size() - used);
      std::memcpy(out.data() + used, &dirent, head);
      used += head;
      const size_t tail = std::min(name.size(), out.size() - used);
      std::memcpy(out.data() + used, name.data(), tail);
      used += tail;
    }
  }
  return Code(m.Write(a[4], static_cast<uint32_t>(used)) ? Errno::kSuccess : Errno::kFault);
}

}  // namespace hybridserve::wasi
