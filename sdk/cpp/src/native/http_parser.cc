#include "native/http_parser.h"

#include <algorithm>

#include "message.h"
#include "syntax.h"

namespace hs::internal {
namespace {

int ParseRequestLine(std::string_view line, RequestHead& head) {
  size_t first = line.find(' ');
  size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) return 400;
  std::string_view method = line.substr(0, first);
  std::string_view target = line.substr(first + 1, last - first - 1);
  std::string_view version = line.substr(last + 1);
  if (!IsToken(method) || target.empty()) return 400;
  if (std::ranges::any_of(target, [](unsigned char c) { return c <= ' ' || c == 0x7f; }))
    return 400;
  if (version == "HTTP/1.0") {
    head.keep_alive = false;
  } else if (version != "HTTP/1.1") {
    return version.starts_with("HTTP/") ? 505 : 400;
  }
  if (size_t scheme = target.find("://"); target[0] != '/' && scheme != std::string_view::npos) {
    size_t path = target.find_first_of("/?", scheme + 3);
    target = path == std::string_view::npos ? "/" : target.substr(path);
  }
  size_t question = std::min(target.find('?'), target.size());
  head.request.method = method;
  std::string_view path = target.substr(0, question);
  head.request.path = path.starts_with('/') ? path : "/";  // "*" and an empty path are the root.
  head.request.query = target.substr(std::min(target.size(), question + 1));
  return 200;
}

struct Framing {
  bool has_length = false;
  bool has_coding = false;
};

int ApplyHeader(std::string_view name, std::string_view value, RequestHead& head, Framing& seen) {
  if (EqualsIgnoringCase(name, "content-length")) {
    uint64_t length = 0;
    if (!ParseNumber(value, 10, length)) return 400;
    if (seen.has_length && length != head.content_length) return 400;
    seen.has_length = true;
    head.content_length = length;
  } else if (EqualsIgnoringCase(name, "transfer-encoding")) {
    if (seen.has_coding || !EqualsIgnoringCase(value, "chunked")) return 501;
    seen.has_coding = head.chunked = true;
  } else if (EqualsIgnoringCase(name, "connection")) {
    if (ListHas(value, "close")) head.keep_alive = false;
  } else if (EqualsIgnoringCase(name, "expect")) {
    if (!EqualsIgnoringCase(value, "100-continue")) return 400;
    head.expects_continue = true;
  }
  AddHeader(head.request.headers, name, value);
  return 200;
}

int ParseHeaderLine(std::string_view line, RequestHead& head, Framing& seen) {
  size_t colon = line.find(':');
  if (colon == std::string_view::npos || !IsToken(line.substr(0, colon))) return 400;
  std::string_view value = Trim(line.substr(colon + 1));
  return IsFieldValue(value) ? ApplyHeader(line.substr(0, colon), value, head, seen) : 400;
}

int ParseLines(std::string_view text, RequestHead& head) {
  Framing seen;
  size_t count = 0;
  for (bool first = true; !text.empty(); first = false) {
    std::string_view line = text.substr(0, text.find("\r\n"));
    text.remove_prefix(std::min(text.size(), line.size() + 2));
    if (!first && ++count > kMostHeaders) return 431;
    int status = first ? ParseRequestLine(line, head) : ParseHeaderLine(line, head, seen);
    if (status != 200) return status;
  }
  return seen.has_length && seen.has_coding ? 400 : 200;
}

}  // namespace

ParsedHead ParseHead(std::string_view bytes, RequestHead& head) {
  size_t skipped = 0;  // RFC 9112 2.2: an empty line before the request is ignored.
  while (skipped < 4 && bytes.substr(skipped).starts_with("\r\n")) skipped += 2;
  size_t end = bytes.find("\r\n\r\n", skipped);
  size_t size = std::min(end, bytes.size());
  if (size > kLargestHead) return {431};
  if (end == std::string_view::npos) return {0};
  head = {};
  return {ParseLines(bytes.substr(skipped, end - skipped), head), end + 4};
}

}  // namespace hs::internal
