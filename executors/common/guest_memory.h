// GuestMemory: a guest's linear memory, as host functions see it. Every access is bounds-checked in
// 64 bits; a guest's pointer is never trusted.
//
// Thread rule: valid only during one host call, on its thread; a guest that grows moves its end.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>

namespace hybridserve {

class GuestMemory {
 public:
  GuestMemory() = default;
  GuestMemory(uint8_t* data, uint64_t size) : data_(data), size_(size) {}

  [[nodiscard]] bool Has(uint64_t pointer, uint64_t bytes) const {
    return pointer <= size_ && bytes <= size_ - pointer;
  }
  /// The bytes at `pointer`; false when they are not all inside.
  bool Slice(uint64_t pointer, uint64_t bytes, std::span<uint8_t>& out) const {
    if (!Has(pointer, bytes)) return false;
    out = {data_ + pointer, static_cast<size_t>(bytes)};
    return true;
  }
  template <typename T>
  requires std::is_trivially_copyable_v<T>
  bool Read(uint64_t pointer, T& value) const {
    if (!Has(pointer, sizeof(T))) return false;
    std::memcpy(&value, data_ + pointer, sizeof(T));
    return true;
  }
  template <typename T>
  requires std::is_trivially_copyable_v<T>
  bool Write(uint64_t pointer, const T& value) const {
    if (!Has(pointer, sizeof(T))) return false;
    std::memcpy(data_ + pointer, &value, sizeof(T));
    return true;
  }
  bool WriteBytes(uint64_t pointer, const void* bytes, uint64_t count) const {
    if (!Has(pointer, count)) return false;
    if (count != 0) std::memcpy(data_ + pointer, bytes, count);
    return true;
  }

 private:
  uint8_t* data_ = nullptr;
  uint64_t size_ = 0;
};

}  // namespace hybridserve
