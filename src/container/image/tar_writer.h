// TarWriter: writes a tar whose bytes depend on nothing but what is put in: owner 0:0, time 0, the
// restricted pax format (plain ustar wherever a name fits).
//
// Thread rule: one thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "container/image/libarchive.h"

namespace hybridserve {

class TarWriter {
 public:
  /// Writes to `fd`, which stays the caller's and outlives the writer.
  static Result<TarWriter> Open(int fd);

  Result<> AddFolder(const std::string& path, uint32_t mode);
  Result<> AddFile(const std::string& path, uint32_t mode, std::string_view content);
  /// Copies `size` bytes from the start of the regular file `source`.
  Result<> AddFileFrom(const std::string& path, uint32_t mode, int source, uint64_t size);
  /// Writes the end marker. Nothing may be added after it.
  Result<> Finish();

 private:
  explicit TarWriter(ArchiveWriter writer) : writer_(std::move(writer)) {}
  Result<> Header(const std::string& path, uint32_t type, uint32_t mode, uint64_t size);
  Result<> Data(std::string_view bytes, const std::string& path);

  ArchiveWriter writer_;
};

}  // namespace hybridserve
