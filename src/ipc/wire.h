// Wire: the byte format of our datagrams. Fixed little-endian integers and length-prefixed strings.
//
// Reader treats its input as hostile: every read is bounded, the first short or oversized field
// makes the reader fail for good, and Done() is true only if every byte was consumed and none
// missing. A message's decoder reads all fields and asks Done() once at its end.
//
// Thread rule: plain values, one thread each.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

namespace hybridserve::ipc {

class Writer {
 public:
  template <typename T>
  requires std::is_integral_v<T> || std::is_enum_v<T> Writer& Put(T value) {
    char raw[sizeof(T)];
    std::memcpy(raw, &value, sizeof(T));
    bytes_.append(raw, sizeof(T));
    return *this;
  }
  /// A u32 length, then the bytes.
  Writer& PutString(std::string_view text) {
    Put(static_cast<uint32_t>(text.size()));
    bytes_.append(text);
    return *this;
  }
  [[nodiscard]] const std::string& bytes() const { return bytes_; }
  [[nodiscard]] std::string Take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  /// The next integer; 0 once the reader has failed.
  template <typename T>
  requires std::is_integral_v<T> || std::is_enum_v<T> T Get() {
    T value{};
    if (failed_ || rest_.size() < sizeof(T)) {
      failed_ = true;
      return value;
    }
    std::memcpy(&value, rest_.data(), sizeof(T));
    rest_.remove_prefix(sizeof(T));
    return value;
  }
  /// The next string, as a view into the datagram; empty once failed, or longer than `max_bytes`.
  std::string_view GetString(uint32_t max_bytes = 1u << 20) {
    const auto size = Get<uint32_t>();
    if (failed_ || size > max_bytes || rest_.size() < size) {
      failed_ = true;
      return {};
    }
    const std::string_view text = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return text;
  }
  /// For a decoder that finds a field out of its range.
  void Fail() { failed_ = true; }
  [[nodiscard]] bool failed() const { return failed_; }
  /// Bytes not yet read.
  [[nodiscard]] size_t rest_bytes() const { return rest_.size(); }
  [[nodiscard]] bool Done() const { return !failed_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool failed_ = false;
};

}  // namespace hybridserve::ipc
