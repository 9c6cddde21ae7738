// Parses any bytes as a container's answer, once whole and once in pieces: no crash, the same
// result both ways, and no header that could end a line of the answer made from it.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "container/response_parser.h"

namespace {

using hybridserve::Header;
using hybridserve::ResponseParser;
using hybridserve::Result;

struct Outcome {
  bool head = false;
  bool failed = false;
  bool done = false;
  int status = 0;
  std::vector<Header> headers;
  std::string body;
  bool operator==(const Outcome&) const = default;
};

Outcome Parse(std::string_view bytes, ResponseParser::Method method, size_t step) {
  ResponseParser parser(method);
  Outcome outcome;
  std::string buffer;
  while (!bytes.empty() && !outcome.done) {
    const std::string_view more = bytes.substr(0, step);
    bytes.remove_prefix(more.size());
    buffer.append(more);
    if (!outcome.head) {
      const Result<ResponseParser::HeadStep> head = parser.ParseHead(buffer);
      if (!head) {
        outcome.failed = true;
        return outcome;
      }
      if (head->consumed > buffer.size()) std::abort();
      buffer.erase(0, head->consumed);
      if (!head->done) continue;
      outcome.head = true;
      outcome.status = parser.head().status;
      outcome.headers = parser.head().headers;
    }
    while (!buffer.empty() && !parser.done()) {
      const Result<ResponseParser::Piece> piece = parser.Next(buffer);
      if (!piece) {
        outcome.failed = true;
        return outcome;
      }
      if (piece->consumed == 0 || piece->consumed > buffer.size()) std::abort();
      outcome.body.append(piece->data);
      buffer.erase(0, piece->consumed);
    }
    outcome.done = parser.done();
  }
  return outcome;
}

void CheckHeaders(const Outcome& outcome) {
  for (const Header& header : outcome.headers) {
    if (header.name.empty()) std::abort();
    for (const char c : header.name + header.value) {
      if (c == '\r' || c == '\n' || c == '\0') std::abort();
    }
    if (header.name.find_first_of(": \t") != std::string::npos) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const auto method =
      data[0] % 8 == 0 ? ResponseParser::Method::kHead : ResponseParser::Method::kOther;
  const size_t step = 1 + data[1] % 16;
  const std::string_view bytes(reinterpret_cast<const char*>(data + 2), size - 2);
  const Outcome whole = Parse(bytes, method, bytes.size());
  const Outcome pieces = Parse(bytes, method, step);
  CheckHeaders(whole);
  // In pieces a failure comes later or with more of the body before it; what ends well is equal.
  if (whole.failed != pieces.failed) std::abort();
  if (!whole.failed && !(whole == pieces)) std::abort();
  return 0;
}
