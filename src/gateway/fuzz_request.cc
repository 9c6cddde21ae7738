// A whole request from arbitrary bytes: head and body, as a connection feeds them to the parser.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "gateway/request_parser.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  hybridserve::RequestParser parser;
  hybridserve::RequestHead head;
  while (!rest.empty()) {
    size_t scanned = 0;
    const size_t head_bytes = hybridserve::FindHeadEnd(rest, scanned);
    if (head_bytes == 0) return 0;
    if (!parser.ParseHead(rest.substr(0, head_bytes), head)) return 0;
    rest.remove_prefix(head_bytes);
    if (head.headers.size() > hybridserve::RequestParser::kMaxHeaders) std::abort();
    uint64_t body_bytes = 0;
    while (!parser.done() && !rest.empty()) {
      const auto step = parser.ParseBody(rest);
      if (!step) return 0;
      if (step->consumed > rest.size() || step->piece.size() > step->consumed) std::abort();
      if (step->consumed == 0) return 0;
      body_bytes += step->piece.size();
      rest.remove_prefix(step->consumed);
    }
    if (!parser.done()) return 0;
    // A body with a length has that length.
    if (head.content_length && *head.content_length != body_bytes) std::abort();
  }
  return 0;
}
