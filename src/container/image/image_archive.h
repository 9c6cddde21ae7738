// ImageArchive: the files inside one image archive (a tar), by name.
//
// Opening reads the tar's headers only; contents are skipped by seeking. The archive is hostile:
// the number of entries is bounded, and nothing is believed about a content but its bytes.
//
// Thread rule: one thread; the descriptor's file position is used.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "base/result.h"
#include "container/image/byte_source.h"

namespace hybridserve {

class ImageArchive {
 public:
  /// `fd` is a seekable file and stays the caller's; it outlives the archive.
  /// Errors: kInvalidArgument not a tar, truncated, compressed as a whole, or too many entries.
  static Result<ImageArchive> Open(int fd);

  [[nodiscard]] bool Has(const std::string& name) const;
  /// A whole small file. Errors: kNotFound; kTooLarge.
  Result<std::string> Read(const std::string& name, uint64_t max_bytes) const;
  /// A file as a stream. Errors: kNotFound.
  Result<std::unique_ptr<ByteSource>> Stream(const std::string& name) const;

 private:
  struct Entry {
    uint64_t ordinal = 0;     // Place among the tar's entries; the last of one name counts.
    std::string link_target;  // Of a symbolic or hard link, as a name in the archive.
  };

  explicit ImageArchive(int fd) : fd_(fd) {}
  Result<> Index();
  [[nodiscard]] const Entry* Find(const std::string& name) const;

  int fd_;
  std::map<std::string, Entry> entries_;
};

}  // namespace hybridserve
