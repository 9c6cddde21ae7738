#include "container/response_parser.h"

#include <algorithm>
#include <array>

namespace hybridserve {
namespace {

constexpr size_t kMaxChunkLine = 4096;

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

bool EqualsIgnoringCase(std::string_view a, std::string_view lower) {
  return a.size() == lower.size() && std::equal(a.begin(), a.end(), lower.begin(),
                                                [](char x, char y) { return Lower(x) == y; });
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// RFC 9110 5.6.2.
constexpr std::array<bool, 256> kTokenChars = [] {
  std::array<bool, 256> table{};
  for (int c = 0; c < 256; ++c) {
    table[c] = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  }
  for (const char c :
       {'!', '#', '$', '%', '&', '\'', '*', '+', '-', '.', '^', '_', '`', '|', '~'}) {
    table[static_cast<uint8_t>(c)] = true;
  }
  return table;
}();

bool IsToken(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(),
                                      [](char c) { return kTokenChars[static_cast<uint8_t>(c)]; });
}

// RFC 9110 5.5: no control characters but the tab.
bool IsFieldValue(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<uint8_t>(c);
    return (byte >= 0x20 && byte != 0x7f) || byte == '\t';
  });
}

// Splits off the first line; false when there is none. The line is without its CRLF or LF.
bool TakeFirstLine(std::string_view& text, std::string_view& line) {
  const size_t end = text.find('\n');
  if (end == std::string_view::npos) return false;
  line = text.substr(0, end);
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  text.remove_prefix(end + 1);
  return true;
}

// Where the head ends (behind its empty line), or 0. Looks from `from` on, given that no head ends
// before it.
size_t FindHeadEnd(std::string_view bytes, size_t from) {
  for (size_t at = bytes.find('\n', from); at != std::string_view::npos;
       at = bytes.find('\n', at + 1)) {
    if (at + 1 < bytes.size() && bytes[at + 1] == '\n') return at + 2;
    if (at + 2 < bytes.size() && bytes[at + 1] == '\r' && bytes[at + 2] == '\n') return at + 3;
  }
  return 0;
}

bool IsHopByHop(std::string_view name) {
  for (const std::string_view hop : {"connection", "keep-alive", "proxy-connection", "te",
                                     "transfer-encoding", "trailer", "upgrade"}) {
    if (EqualsIgnoringCase(name, hop)) return true;
  }
  return false;
}

}  // namespace

tl::unexpected<Error> ResponseParser::Bad(std::string_view what) const {
  return Fail(Code::kFunctionFailed,
              std::string(whose_) + " is not valid HTTP/1.1: " + std::string(what));
}

Result<ResponseParser::HeadStep> ResponseParser::ParseHead(std::string_view bytes) {
  HeadStep step;
  for (;;) {
    const std::string_view rest = bytes.substr(step.consumed);
    const size_t end = FindHeadEnd(rest, scanned_);
    if (end > kMaxHeadBytes || (end == 0 && rest.size() >= kMaxHeadBytes)) {
      return Bad("its head is over " + std::to_string(kMaxHeadBytes) + " bytes");
    }
    if (end == 0) {
      // What can be told now is told now: a program that does not speak HTTP may never send an
      // empty line.
      if (rest.size() >= 5 && !rest.starts_with("HTTP/")) {
        return Bad("it does not begin with HTTP/");
      }
      scanned_ = rest.size() > 3 ? rest.size() - 3 : 0;
      return step;
    }
    TRY(ParseOneHead(rest.substr(0, end)));
    step.consumed += end;
    scanned_ = 0;
    if (head_.status >= 200) break;
    if (++interim_ > kMaxInterim) return Bad("too many interim (1xx) answers");
  }
  TRY(ChooseFraming());
  DropHopByHop();
  step.done = true;
  return step;
}

Result<> ResponseParser::ParseOneHead(std::string_view head) {
  head_.headers.clear();
  content_length_.reset();
  chunked_ = saw_close_ = saw_keep_alive_ = false;
  named_hop_by_hop_.clear();

  std::string_view line;
  TakeFirstLine(head, line);
  TRY(ParseStatusLine(line));
  head_.headers.reserve(16);
  while (TakeFirstLine(head, line) && !line.empty()) TRY(ParseField(line));
  return {};
}

Result<> ResponseParser::ParseStatusLine(std::string_view line) {
  // "HTTP/1.1 200 OK"; the reason may be missing, with or without its space.
  if (line.size() < 12 || (line.substr(0, 9) != "HTTP/1.1 " && line.substr(0, 9) != "HTTP/1.0 ")) {
    return Bad("its status line does not begin with HTTP/1.1 and a status");
  }
  http_1_0_ = line[7] == '0';
  int status = 0;
  for (const char digit : line.substr(9, 3)) {
    if (digit < '0' || digit > '9') return Bad("its status is not a number");
    status = status * 10 + (digit - '0');
  }
  if ((line.size() > 12 && line[12] != ' ') || status < 100 || status > 599) {
    return Bad("its status is not within 100..599");
  }
  if (status == 101) return Bad("it switched protocols without being asked to");
  head_.status = status;
  return {};
}

Result<> ResponseParser::ParseField(std::string_view line) {
  if (line.front() == ' ' || line.front() == '\t') return Bad("a header is folded over two lines");
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return Bad("a header line has no colon");
  // A proxy removes white space before the colon from a response (RFC 9112 5.1).
  std::string_view name = line.substr(0, colon);
  while (!name.empty() && (name.back() == ' ' || name.back() == '\t')) name.remove_suffix(1);
  const std::string_view value = Trim(line.substr(colon + 1));
  if (!IsToken(name)) return Bad("a header's name has characters that names cannot have");
  if (!IsFieldValue(value)) {
    return Bad("header '" + std::string(name) + "' has control characters in its value");
  }
  return KeepField(name, value);
}

Result<> ResponseParser::KeepField(std::string_view name, std::string_view value) {
  if (EqualsIgnoringCase(name, "content-length")) {
    uint64_t length = 0;
    if (value.empty() || value.size() > 18) return Bad("its Content-Length is not a length");
    for (const char digit : value) {
      if (digit < '0' || digit > '9') return Bad("its Content-Length is not a length");
      length = length * 10 + static_cast<uint64_t>(digit - '0');
    }
    if (content_length_ && *content_length_ != length) {
      return Bad("it has two different Content-Lengths");
    }
    content_length_ = length;
    return {};
  }
  if (EqualsIgnoringCase(name, "transfer-encoding")) {
    if (chunked_ || !EqualsIgnoringCase(value, "chunked")) {
      return Bad("its Transfer-Encoding is not 'chunked'");
    }
    chunked_ = true;
    return {};
  }
  if (EqualsIgnoringCase(name, "connection")) {
    NoteConnectionOptions(value);
    return {};
  }
  if (IsHopByHop(name)) return {};
  if (head_.headers.size() >= kMaxHeaders) {
    return Bad("it has more than " + std::to_string(kMaxHeaders) + " headers");
  }
  head_.headers.push_back({std::string(name), std::string(value)});
  return {};
}

void ResponseParser::NoteConnectionOptions(std::string_view value) {
  while (!value.empty()) {
    const size_t comma = value.find(',');
    const std::string_view option = Trim(value.substr(0, comma));
    value.remove_prefix(comma == std::string_view::npos ? value.size() : comma + 1);
    if (option.empty()) continue;
    if (EqualsIgnoringCase(option, "close")) {
      saw_close_ = true;
    } else if (EqualsIgnoringCase(option, "keep-alive")) {
      saw_keep_alive_ = true;
    } else {
      if (named_hop_by_hop_.empty()) named_hop_by_hop_ = ",";
      for (const char c : option) named_hop_by_hop_ += Lower(c);
      named_hop_by_hop_ += ',';
    }
  }
}

void ResponseParser::DropHopByHop() {
  if (named_hop_by_hop_.empty()) return;
  std::erase_if(head_.headers, [this](const Header& header) {
    std::string key = ",";
    for (const char c : header.name) key += Lower(c);
    key += ',';
    return named_hop_by_hop_.find(key) != std::string::npos;
  });
}

Result<> ResponseParser::ChooseFraming() {
  keep_alive_ = http_1_0_ ? saw_keep_alive_ && !saw_close_ : !saw_close_;
  if (http_1_0_ && chunked_) return Bad("it is HTTP/1.0 and has a Transfer-Encoding");
  if (method_ == Method::kHead || head_.status == 204 || head_.status == 304) {
    framing_ = Framing::kNone;
    body_ = Body::kDone;
  } else if (chunked_) {
    // Transfer-Encoding wins; whoever sends both may mean mischief (RFC 9112 6.3).
    if (content_length_) keep_alive_ = false;
    content_length_.reset();
    framing_ = Framing::kChunked;
    body_ = Body::kSize;
  } else if (content_length_) {
    framing_ = Framing::kLength;
    left_ = *content_length_;
    body_ = left_ == 0 ? Body::kDone : Body::kData;
  } else {
    framing_ = Framing::kUntilClose;
    keep_alive_ = false;
    body_ = Body::kData;
  }
  return {};
}

Result<ResponseParser::Piece> ResponseParser::Next(std::string_view bytes) {
  if (body_ == Body::kDone) return Piece{};
  if (framing_ == Framing::kUntilClose) return Piece{bytes.size(), bytes};
  if (body_ == Body::kData) {
    const auto size = static_cast<size_t>(std::min<uint64_t>(bytes.size(), left_));
    left_ -= size;
    if (left_ == 0) body_ = framing_ == Framing::kLength ? Body::kDone : Body::kDataEnd;
    return Piece{size, bytes.substr(0, size)};
  }
  Piece piece;
  TRY_ASSIGN(const bool whole, TakeLine(bytes, piece.consumed));
  if (!whole) return piece;
  if (body_ == Body::kDataEnd) {
    if (!line_.empty()) return Bad("a chunk is longer than its size says");
    body_ = Body::kSize;
  } else if (body_ == Body::kSize) {
    TRY(ParseChunkSize());
  } else if (line_.empty()) {
    body_ = Body::kDone;  // trailers are read and dropped
  }
  line_.clear();
  return piece;
}

Result<bool> ResponseParser::TakeLine(std::string_view bytes, size_t& consumed) {
  const size_t end = bytes.find('\n');
  consumed = end == std::string_view::npos ? bytes.size() : end + 1;
  const size_t limit = body_ == Body::kDataEnd ? 2 : kMaxChunkLine;
  if (body_ == Body::kTrailers) trailer_bytes_ += consumed;
  if (line_.size() + consumed > limit || trailer_bytes_ > kMaxHeadBytes) {
    return Bad("its chunk framing is too long or broken");
  }
  line_.append(bytes.substr(0, consumed));
  if (end == std::string_view::npos) return false;
  line_.pop_back();
  if (!line_.empty() && line_.back() == '\r') line_.pop_back();
  return true;
}

Result<> ResponseParser::ParseChunkSize() {
  uint64_t size = 0;
  size_t digits = 0;
  for (; digits < line_.size(); ++digits) {
    const char c = Lower(line_[digits]);
    int digit = 0;
    if (c >= '0' && c <= '9') {
      digit = c - '0';
    } else if (c >= 'a' && c <= 'f') {
      digit = c - 'a' + 10;
    } else {
      break;
    }
    size = size * 16 + static_cast<uint64_t>(digit);
  }
  // Behind the size there may be an extension, which is dropped.
  const std::string_view rest = Trim(std::string_view(line_).substr(digits));
  if (digits == 0 || digits > 15 || (!rest.empty() && rest.front() != ';')) {
    return Bad("a chunk's size is not a hexadecimal number");
  }
  left_ = size;
  body_ = size == 0 ? Body::kTrailers : Body::kData;
  return {};
}

}  // namespace hybridserve
