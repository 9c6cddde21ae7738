#include "gzip.h"

#include <zlib.h>

namespace {

constexpr int kGzip = 16;  // Added to the window's bits.
constexpr int kDefaultMemory = 8;

void SetInput(z_stream& stream, std::string_view bytes) {
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
}

void SetOutput(z_stream& stream, std::string& into) {
  stream.next_out = reinterpret_cast<Bytef*>(into.data());
  stream.avail_out = static_cast<uInt>(into.size());
}

}  // namespace

std::optional<std::string> Compress(std::string_view bytes, int level) {
  z_stream stream = {};
  if (deflateInit2(&stream, level, Z_DEFLATED, MAX_WBITS + kGzip, kDefaultMemory,
                   Z_DEFAULT_STRATEGY) != Z_OK) {
    return std::nullopt;
  }
  std::string member(deflateBound(&stream, static_cast<uLong>(bytes.size())), '\0');
  SetInput(stream, bytes);
  SetOutput(stream, member);
  const bool done = deflate(&stream, Z_FINISH) == Z_STREAM_END;
  member.resize(stream.total_out);
  deflateEnd(&stream);
  if (!done) return std::nullopt;
  return member;
}

std::optional<std::string> Decompress(std::string_view member, size_t size) {
  z_stream stream = {};
  if (inflateInit2(&stream, MAX_WBITS + kGzip) != Z_OK) return std::nullopt;
  std::string bytes(size, '\0');
  SetInput(stream, member);
  SetOutput(stream, bytes);
  // The trailer is read even when all bytes are there, or none was to be.
  const bool done = inflate(&stream, Z_FINISH) == Z_STREAM_END;
  const bool all = stream.total_out == size && stream.avail_in == 0;
  inflateEnd(&stream);
  if (!done || !all) return std::nullopt;
  return bytes;
}
