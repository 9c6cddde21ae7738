#include "common/temporary_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>

namespace functions {

TemporaryFile::TemporaryFile(std::string_view name) {
  static std::atomic<uint64_t> next{0};
  // A name may be taken by a process that was here before.
  do {
    path_ = "/tmp/" + std::string(name) + "-" + std::to_string(++next);
    fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  } while (fd_ < 0 && errno == EEXIST);
  if (fd_ < 0) Fail("make");
}

TemporaryFile::~TemporaryFile() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(path_.c_str());
}

bool TemporaryFile::Fail(std::string_view what) {
  if (ok()) {
    failure_ = "cannot " + std::string(what) + " " + path_ + ": " + std::strerror(errno);
  }
  return false;
}

bool TemporaryFile::Write(std::string_view block) {
  while (ok() && !block.empty()) {
    const ssize_t done = ::write(fd_, block.data(), block.size());
    if (done < 0) return Fail("write");
    block.remove_prefix(static_cast<size_t>(done));
  }
  return ok();
}

bool TemporaryFile::WriteAt(std::string_view block, uint64_t offset) {
  while (ok() && !block.empty()) {
    const ssize_t done = ::pwrite(fd_, block.data(), block.size(), static_cast<off_t>(offset));
    if (done < 0) return Fail("write");
    block.remove_prefix(static_cast<size_t>(done));
    offset += static_cast<uint64_t>(done);
  }
  return ok();
}

size_t TemporaryFile::Read(std::span<char> block) {
  size_t total = 0;
  while (ok() && total < block.size()) {
    const ssize_t done = ::read(fd_, block.data() + total, block.size() - total);
    if (done < 0) Fail("read");
    if (done <= 0) break;
    total += static_cast<size_t>(done);
  }
  return total;
}

size_t TemporaryFile::ReadAt(std::span<char> block, uint64_t offset) {
  size_t total = 0;
  while (ok() && total < block.size()) {
    const ssize_t done = ::pread(fd_, block.data() + total, block.size() - total,
                                 static_cast<off_t>(offset + total));
    if (done < 0) Fail("read");
    if (done <= 0) break;
    total += static_cast<size_t>(done);
  }
  return total;
}

bool TemporaryFile::Sync() { return ok() && (::fsync(fd_) == 0 || Fail("sync")); }

bool TemporaryFile::Rewind() { return ok() && (::lseek(fd_, 0, SEEK_SET) == 0 || Fail("rewind")); }

hs::Response TemporaryFile::InsufficientStorage() const {
  return hs::Response::Text(failure_ + "\n", 507);
}

}  // namespace functions
