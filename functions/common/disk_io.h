// DiskIo: what FunctionBench's two disk_io workloads share: sizes, block and answer.
//
//   file_size   MiB of the file, 1 to 128 (16)
//   byte_size   bytes of a block, 512 to 1048576 (4096)
//   seed        of the random bytes and offsets, 0 to 4294967295 (1)
//
// Thread rule: a plain value; the request outlives it.
#pragma once

#include <hybridserve/function.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>

#include "common/block_checksum.h"
#include "common/parameters.h"
#include "common/random.h"

namespace functions {

class DiskIo {
 public:
  explicit DiskIo(const hs::Request& request)
      : parameters_(request),
        file_bytes_(Unsigned("file_size", 16, 1, 128) << 20),
        block_bytes_(Unsigned("byte_size", 4096, 512, 1 << 20)),
        seed_(Unsigned("seed", 1, 0, UINT32_MAX)) {}

  [[nodiscard]] bool ok() const { return parameters_.ok(); }
  [[nodiscard]] hs::Response BadRequest() const { return parameters_.BadRequest(); }

  [[nodiscard]] uint64_t file_bytes() const { return file_bytes_; }
  [[nodiscard]] uint64_t block_bytes() const { return block_bytes_; }
  /// Whole blocks that the file has room for.
  [[nodiscard]] uint64_t blocks() const { return file_bytes_ / block_bytes_; }
  [[nodiscard]] uint64_t seed() const { return seed_; }

  [[nodiscard]] std::string RandomBlock() const {
    std::string block(block_bytes_, '\0');
    Random random(~seed_);
    for (size_t at = 0; at < block.size(); at += sizeof(uint64_t)) {
      const uint64_t word = random.Next();
      std::memcpy(block.data() + at, &word, std::min(sizeof word, block.size() - at));
    }
    return block;
  }
  /// Blocks, bytes and checksum of what was read back.
  [[nodiscard]] hs::Response Answer(const BlockChecksum& read_back) const {
    return hs::Response::Json("{\"blocks\":" + std::to_string(blocks()) +
                              ",\"bytes\":" + std::to_string(read_back.bytes()) +
                              ",\"checksum\":\"" + read_back.Hex() + "\"}\n");
  }

 private:
  uint64_t Unsigned(std::string_view name, long long otherwise, long long lowest,
                    long long highest) {
    return static_cast<uint64_t>(parameters_.Integer(name, otherwise, lowest, highest));
  }

  Parameters parameters_;
  uint64_t file_bytes_;
  uint64_t block_bytes_;
  uint64_t seed_;
};

/// Writes a block's number over its first bytes, so that no two are alike.
inline void Number(std::string& block, uint64_t number) {
  std::memcpy(block.data(), &number, sizeof number);
}

}  // namespace functions
