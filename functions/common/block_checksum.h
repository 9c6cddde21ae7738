// BlockChecksum: a fast checksum over blocks of a file: FNV-1a's step (draft-eastlake-fnv) on
// 64-bit words in four independent lanes, so that it costs little beside the file's I/O. The same
// blocks give the same sixteen digits in both builds; the same bytes in other blocks may give
// others.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "common/checksum.h"

namespace functions {

class BlockChecksum {
 public:
  void Add(std::string_view block) {
    size_t at = 0;
    for (; at + kStride <= block.size(); at += kStride) {
      for (size_t lane = 0; lane < kLanes; ++lane) {
        Step(lane, Word(block.data() + at + lane * sizeof(uint64_t)));
      }
    }
    for (; at < block.size(); ++at) Step(at % kLanes, static_cast<uint8_t>(block[at]));
    bytes_ += block.size();
  }
  /// Bytes added.
  [[nodiscard]] uint64_t bytes() const { return bytes_; }
  [[nodiscard]] std::string Hex() const {
    Checksum all;
    for (const uint64_t lane : lanes_) all.Add(lane);
    all.Add(bytes_);
    return all.Hex();
  }

 private:
  static constexpr size_t kLanes = 4;
  static constexpr size_t kStride = kLanes * sizeof(uint64_t);

  static uint64_t Word(const char* bytes) {
    uint64_t word = 0;
    std::memcpy(&word, bytes, sizeof word);
    return word;
  }
  // The rotation carries high bits down, which a product alone does not.
  void Step(size_t lane, uint64_t word) {
    const uint64_t product = (lanes_[lane] ^ word) * 0x100000001b3u;
    lanes_[lane] = product << 23 | product >> 41;
  }

  std::array<uint64_t, kLanes> lanes_ = {1, 2, 3, 4};
  uint64_t bytes_ = 0;
};

}  // namespace functions
