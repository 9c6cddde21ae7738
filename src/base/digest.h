// SHA-256 digests and keyed MACs of bytes and files (FIPS 180-4, RFC 2104), by OpenSSL.
//
// Thread rule: pure functions; safe from any thread.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/result.h"

namespace hybridserve {

Digest Sha256(std::string_view bytes);

/// Reads the file from its start to its end with pread: the file position does not move.
Result<Digest> Sha256OfFile(int fd);

using MacKey = std::array<uint8_t, 32>;
using Mac = std::array<uint8_t, 32>;

/// HMAC-SHA-256 over `context` (what the bytes are for) and the whole file.
Result<Mac> HmacOfFile(const MacKey& key, std::string_view context, int fd);

/// Compares in constant time. Different lengths are unequal.
bool ConstantTimeEqual(std::string_view a, std::string_view b);

/// `count` bytes from the kernel's generator.
std::string RandomBytes(size_t count);

/// Lower-case hex.
std::string ToHex(std::span<const uint8_t> bytes);
/// True for 64 lower-case hex digits.
bool IsDigest(std::string_view text);

}  // namespace hybridserve
