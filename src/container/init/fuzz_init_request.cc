// Fuzzes the request parser of hybridserve-init: head and chunked body.
#include <cstdlib>
#include <string>

#include "container/init/http_request.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace hybridserve::init;
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const size_t end = HeadEnd(bytes);
  if (end == std::string_view::npos) return 0;
  if (end > bytes.size()) abort();
  const auto request = ParseRequest(bytes.substr(0, end));
  bytes.remove_prefix(end);
  if (request && !request->head.path.starts_with('/')) abort();

  // In one piece and byte by byte, the body must come out the same.
  ChunkDecoder whole, split;
  std::string whole_out, split_out;
  std::string_view rest = bytes;
  const bool whole_ok = whole.Decode(rest, whole_out).has_value();
  bool split_ok = true;
  for (size_t i = 0; i < bytes.size() && split_ok && !split.done(); ++i) {
    std::string_view one = bytes.substr(i, 1);
    split_ok = split.Decode(one, split_out).has_value();
  }
  if (whole_ok != split_ok || whole.done() != split.done()) abort();
  if (whole_ok && whole_out != split_out) abort();
  return 0;
}
