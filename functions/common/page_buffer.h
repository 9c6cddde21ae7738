// PageBuffer: a text that grows at its end by many short pieces, held in blocks until it is taken,
// so that growing copies and clears nothing. Both builds copy a piece of up to 64 bytes by a few
// loads and stores of 4 to 16 bytes; a call of memcpy, in Wasm one of the engine, would take longer
// than the copy.
//
// Thread rule: a plain value.
#pragma once

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace functions {

class PageBuffer {
 public:
  /// Bytes that may be read behind a padded piece.
  static constexpr size_t kPadding = 32;

  void Append(std::string_view piece) {
    Reserve(piece.size());
    Copy(piece.data(), piece.size(), at_);
    at_ += piece.size();
  }
  /// The same for a piece with kPadding bytes behind it, whose values are of no account.
  void AppendPadded(const char* piece, size_t size) {
    Reserve(size + kPadding);
    for (size_t i = 0; i < size; i += kPadding) std::memcpy(at_ + i, piece + i, kPadding);
    at_ += size;
  }
  /// The text; the buffer is empty afterwards.
  [[nodiscard]] std::string Take() {
    EndBlock();
    std::string text;
    size_t size = 0;
    for (const Block& block : blocks_) size += block.size;
    text.reserve(size);
    for (const Block& block : blocks_) text.append(block.bytes.get(), block.size);
    blocks_.clear();
    at_ = end_ = nullptr;
    return text;
  }

 private:
  static constexpr size_t kBlock = (64u << 10) - 64;  ///< With an allocator's own bytes 64 KiB.
  struct Block {
    std::unique_ptr<char[]> bytes;
    size_t size = 0;  ///< Of what is used; that of the last block is told by at_.
  };

  void EndBlock() {
    if (blocks_.empty()) return;
    Block& last = blocks_.back();
    last.size = static_cast<size_t>(at_ - last.bytes.get());
  }
  void Reserve(size_t size) {
    if (static_cast<size_t>(end_ - at_) < size) StartBlock(size);
  }
  void StartBlock(size_t least) {
    EndBlock();
    const size_t size = std::max(least, kBlock);
    blocks_.push_back({std::make_unique_for_overwrite<char[]>(size)});
    at_ = blocks_.back().bytes.get();
    end_ = at_ + size;
  }

  static void Copy(const char* from, size_t size, char* to) {
    if (size > 64) {
      std::memcpy(to, from, size);
    } else if (size >= 16) {
      for (size_t i = 0; i + 16 <= size; i += 16) std::memcpy(to + i, from + i, 16);
      std::memcpy(to + size - 16, from + size - 16, 16);
    } else if (size >= 8) {
      CopyEnds<8>(from, size, to);
    } else if (size >= 4) {
      CopyEnds<4>(from, size, to);
    } else if (size > 0) {
      to[0] = from[0];
      to[size / 2] = from[size / 2];
      to[size - 1] = from[size - 1];
    }
  }
  /// The first and the last `kBytes`, which overlap.
  template <size_t kBytes>
  static void CopyEnds(const char* from, size_t size, char* to) {
    std::memcpy(to, from, kBytes);
    std::memcpy(to + size - kBytes, from + size - kBytes, kBytes);
  }

  std::vector<Block> blocks_;
  char* at_ = nullptr;   ///< Where the next piece goes: in the last block.
  char* end_ = nullptr;  ///< Of that block.
};

}  // namespace functions
