#include "native/http_parser.h"

#include <algorithm>
#include <charconv>

#include "message.h"

namespace hs::internal {
namespace {

constexpr size_t kLongestSizeLine = 1024;

bool IsTokenChar(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

bool IsToken(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, IsTokenChar);
}

std::string_view Trim(std::string_view text) {
  size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

bool ParseNumber(std::string_view text, int base, uint64_t& value) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  return !text.empty() && error == std::errc() && end == text.data() + text.size();
}

/// Whether the comma-separated list `value` has `token` in it.
bool ListHas(std::string_view value, std::string_view token) {
  while (!value.empty()) {
    std::string_view item = value.substr(0, value.find(','));
    value.remove_prefix(std::min(value.size(), item.size() + 1));
    if (EqualsIgnoringCase(Trim(item), token)) return true;
  }
  return false;
}

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
  bool clean = std::ranges::all_of(
      value, [](unsigned char c) { return c == '\t' || (c >= 0x20 && c != 0x7f); });
  return clean ? ApplyHeader(line.substr(0, colon), value, head, seen) : 400;
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

size_t ChunkedDecoder::Feed(std::string_view bytes, std::string& body) {
  size_t used = 0;
  while (used < bytes.size() && !done() && !failed()) {
    std::string_view rest = bytes.substr(used);
    if (state_ == State::kData) {
      size_t take = static_cast<size_t>(std::min<uint64_t>(left_, rest.size()));
      body.append(rest.substr(0, take));
      left_ -= take;
      used += take;
      if (left_ == 0) state_ = State::kDataEnd;
      continue;
    }
    size_t newline = rest.find('\n');
    line_.append(rest.substr(0, newline));
    used += std::min(rest.size(), newline == std::string_view::npos ? newline : newline + 1);
    if (line_.size() > kLongestSizeLine) {
      state_ = State::kFailed;
    } else if (newline != std::string_view::npos) {
      if (line_.ends_with('\r')) {
        OnLine(std::string_view(line_).substr(0, line_.size() - 1));
      } else {
        state_ = State::kFailed;
      }
      line_.clear();
    }
  }
  return used;
}

void ChunkedDecoder::OnLine(std::string_view line) {
  if (state_ == State::kDataEnd) {
    state_ = line.empty() ? State::kSizeLine : State::kFailed;
  } else if (state_ == State::kTrailer) {
    trailer_bytes_ += line.size() + 2;
    if (line.empty()) {
      state_ = State::kDone;
    } else if (trailer_bytes_ > kLargestHead) {
      state_ = State::kFailed;
    }
  } else if (!ParseNumber(Trim(line.substr(0, line.find(';'))), 16, left_)) {
    state_ = State::kFailed;
  } else {
    state_ = left_ == 0 ? State::kTrailer : State::kData;
  }
}

}  // namespace hs::internal
