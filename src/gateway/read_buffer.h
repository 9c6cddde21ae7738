// ReadBuffer: the bytes of a connection that were received and not yet taken. One piece of memory,
// used again from request to request.
//
// Thread rule: one thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>

namespace hybridserve {

class ReadBuffer {
 public:
  /// What an idle connection keeps at most.
  static constexpr size_t kIdleBytes = 4096;

  [[nodiscard]] std::string_view data() const { return {memory_.get() + begin_, end_ - begin_}; }
  [[nodiscard]] bool empty() const { return begin_ == end_; }

  /// Room for at least `bytes` more behind data(), whose address may change.
  std::span<char> Prepare(size_t bytes) {
    if (empty()) begin_ = end_ = 0;
    if (capacity_ - end_ < bytes) MakeRoom(bytes);
    return {memory_.get() + end_, capacity_ - end_};
  }
  /// `bytes` of what Prepare gave are filled now.
  void Commit(size_t bytes) { end_ += bytes; }
  /// The first `bytes` of data() are taken. Their memory stays as it is until the next Prepare.
  void Consume(size_t bytes) { begin_ += bytes; }

  /// Gives memory back that only a large body needed.
  void Shrink() {
    if (!empty() || capacity_ <= kIdleBytes) return;
    memory_.reset();
    begin_ = end_ = capacity_ = 0;
  }

 private:
  void MakeRoom(size_t bytes) {
    const size_t size = end_ - begin_;
    if (capacity_ - size >= bytes) {
      std::memmove(memory_.get(), memory_.get() + begin_, size);
    } else {
      const size_t wanted = std::max({size + bytes, kIdleBytes, capacity_ * 2});
      auto larger = std::make_unique_for_overwrite<char[]>(wanted);
      if (size > 0) std::memcpy(larger.get(), memory_.get() + begin_, size);
      memory_ = std::move(larger);
      capacity_ = wanted;
    }
    begin_ = 0;
    end_ = size;
  }

  std::unique_ptr<char[]> memory_;
  size_t capacity_ = 0;
  size_t begin_ = 0;
  size_t end_ = 0;
};

}  // namespace hybridserve
