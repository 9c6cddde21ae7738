// Checksum: 64-bit FNV-1a (draft-eastlake-fnv) over what a workload computed, so that an answer shows
// all of it in sixteen digits and no compiler can drop the work.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>

namespace functions {

class Checksum {
 public:
  void Add(std::string_view bytes) {
    for (const char byte : bytes) hash_ = (hash_ ^ static_cast<uint8_t>(byte)) * 0x100000001b3u;
  }
  /// The bits of a number, lowest byte first.
  void Add(uint64_t bits) {
    for (int i = 0; i < 64; i += 8) hash_ = (hash_ ^ ((bits >> i) & 0xff)) * 0x100000001b3u;
  }
  void Add(double number) {
    uint64_t bits = 0;
    std::memcpy(&bits, &number, sizeof bits);
    Add(bits);
  }
  /// Sixteen digits of lower-case hexadecimal.
  [[nodiscard]] std::string Hex() const {
    char text[17];
    std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(hash_));
    return text;
  }

 private:
  uint64_t hash_ = 0xcbf29ce484222325u;
};

}  // namespace functions
