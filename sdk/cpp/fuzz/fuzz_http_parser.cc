// Fuzz target: a head and a chunked body from any bytes; pieces must come to the same as the whole.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "native/http_parser.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  hs::internal::RequestHead head;
  hs::internal::ParsedHead parsed = hs::internal::ParseHead(bytes, head);
  if (parsed.status == 200 && parsed.length > size) std::abort();

  hs::internal::ChunkedDecoder whole;
  hs::internal::ChunkedDecoder split;
  std::string whole_body;
  std::string split_body;
  size_t whole_used = whole.Feed(bytes, whole_body);
  size_t split_used = 0;
  for (size_t i = 0; i < size && !split.done() && !split.failed(); ++i) {
    split_used += split.Feed(bytes.substr(i, 1), split_body);
  }
  if (whole.done() != split.done()) std::abort();
  if (whole.done() && (whole_body != split_body || whole_used != split_used)) std::abort();
  return 0;
}
