// TemporaryFile: a new file in /tmp that is gone with the object. The container's /tmp is shared by
// requests that run at once, so each file has a name of its own.
//
//   TemporaryFile file("dd");
//   if (!file.Write(block)) return file.InsufficientStorage();
//
// A write or read is done in whole, not in the pieces that the system takes. After the first
// failure every call fails, and the reason is that of the first.
//
// Thread rule: one thread an object.
#pragma once

#include <hybridserve/function.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace functions {

class TemporaryFile {
 public:
  /// Makes /tmp/NAME-NUMBER.
  explicit TemporaryFile(std::string_view name);
  ~TemporaryFile();
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  [[nodiscard]] bool ok() const { return failure_.empty(); }
  /// Writes at the position.
  bool Write(std::string_view block);
  bool WriteAt(std::string_view block, uint64_t offset);
  /// Reads from the position: the bytes of `block` that were read, fewer at the file's end only.
  size_t Read(std::span<char> block);
  size_t ReadAt(std::span<char> block, uint64_t offset);
  /// Waits until what was written is on the disk.
  bool Sync();
  /// Moves the position to the start.
  bool Rewind();

  /// 507, with what failed and why.
  [[nodiscard]] hs::Response InsufficientStorage() const;

 private:
  bool Fail(std::string_view what);

  std::string path_;
  int fd_ = -1;
  std::string failure_;
};

}  // namespace functions
