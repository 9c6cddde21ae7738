// gzip (RFC 1952) of bytes in memory, by zlib.
//
// Thread rule: plain functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

/// `bytes` as one gzip member without name and time. `level` is 1, the fastest, to 9, the smallest.
/// Nothing if there is not enough memory.
std::optional<std::string> Compress(std::string_view bytes, int level);

/// What `member` holds: exactly `size` bytes. Nothing if it holds less or more, or if its checksum
/// or anything else in it is wrong.
std::optional<std::string> Decompress(std::string_view member, size_t size);
