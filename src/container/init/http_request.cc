#include "container/init/http_request.h"

#include <algorithm>
#include <charconv>

namespace hybridserve::init {
namespace {

constexpr size_t kMaxLineBytes = 8 * 1024;

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

bool Is(std::string_view name, std::string_view lower) {
  return std::equal(name.begin(), name.end(), lower.begin(), lower.end(),
                    [](char a, char b) { return Lower(a) == b; });
}

std::string_view Trim(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

bool IsToken(std::string_view text) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [kMarks](char c) {
    return (c >= '0' && c <= '9') || (Lower(c) >= 'a' && Lower(c) <= 'z') ||
           kMarks.find(c) != std::string_view::npos;
  });
}

bool HasControlBytes(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\t') || byte == 0x7f;
  });
}

/// The next line without its end, taken off the front of `text`.
std::string_view TakeLine(std::string_view& text) {
  const size_t end = std::min(text.find('\n'), text.size());
  std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

Result<> ParseRequestLine(std::string_view line, Request& request) {
  const size_t first = line.find(' ');
  const size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) {
    return Fail(Code::kInvalidArgument, "the request line has no three parts");
  }
  const std::string_view method = line.substr(0, first);
  const std::string_view target = line.substr(first + 1, last - first - 1);
  const std::string_view version = line.substr(last + 1);
  if (!IsToken(method)) return Fail(Code::kInvalidArgument, "the request's method is no token");
  if (version != "HTTP/1.1" && version != "HTTP/1.0") {
    return Fail(Code::kInvalidArgument, "the request is not HTTP/1.1");
  }
  request.keep_alive = version == "HTTP/1.1";
  if (!target.starts_with('/') || target.find(' ') != std::string_view::npos ||
      HasControlBytes(target)) {
    return Fail(Code::kInvalidArgument, "the request's target is no path");
  }
  const size_t question = std::min(target.find('?'), target.size());
  request.head.method = method;
  request.head.path = target.substr(0, question);
  request.head.query = target.substr(std::min(question + 1, target.size()));
  return {};
}

Result<> SetLength(std::string_view value, Request& request) {
  uint64_t bytes = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), bytes);
  if (error != std::errc() || end != value.data() + value.size() || value.empty() ||
      (request.head.content_length && *request.head.content_length != bytes)) {
    return Fail(Code::kInvalidArgument, "the request's Content-Length is no number");
  }
  request.head.content_length = bytes;
  request.body_bytes = bytes;
  return {};
}

/// "client, proxy, LAST": the last address is what our gateway saw; the rest was the client's.
void TakeForwardedFor(std::string_view value, RequestHead& head) {
  const size_t comma = value.rfind(',');
  head.remote_address = Trim(value.substr(comma == std::string_view::npos ? 0 : comma + 1));
  if (comma != std::string_view::npos) {
    head.headers.push_back({"X-Forwarded-For", std::string(Trim(value.substr(0, comma)))});
  }
}

Result<> ParseField(std::string_view line, Request& request) {
  RequestHead& head = request.head;
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos || !IsToken(line.substr(0, colon))) {
    return Fail(Code::kInvalidArgument, "a header line has no name");
  }
  const std::string_view name = line.substr(0, colon);
  const std::string_view value = Trim(line.substr(colon + 1));
  if (HasControlBytes(value)) return Fail(Code::kInvalidArgument, "a header has control bytes");
  if (Is(name, "content-length")) return SetLength(value, request);
  if (Is(name, "transfer-encoding")) {
    if (!Is(value, "chunked")) {
      return Fail(Code::kInvalidArgument, "the request's Transfer-Encoding is not chunked");
    }
    request.body = BodyKind::kChunked;
  } else if (Is(name, "connection")) {
    if (Is(value, "close")) request.keep_alive = false;
  } else if (Is(name, "expect")) {
    request.expects_continue = Is(value, "100-continue");
  } else if (Is(name, "x-forwarded-for")) {
    TakeForwardedFor(value, head);
  } else if (Is(name, "x-forwarded-prefix")) {
    head.script_name = value;
  } else if (Is(name, "x-request-id")) {
    head.request_id = value;
  } else {
    if (Is(name, "host")) head.host = value;
    head.headers.push_back({std::string(name), std::string(value)});
  }
  return {};
}

/// Takes out what the gateway adds where the client said nothing (it says the same).
void DropDefaults(RequestHead& head) {
  std::erase_if(head.headers, [&head](const Header& header) {
    return (Is(header.name, "x-forwarded-proto") && header.value == "http") ||
           (Is(header.name, "x-forwarded-host") && header.value == head.host);
  });
}

}  // namespace

size_t HeadEnd(std::string_view bytes) {
  const size_t crlf = bytes.find("\r\n\r\n");
  return crlf == std::string_view::npos ? crlf : crlf + 4;
}

Result<Request> ParseRequest(std::string_view text) {
  Request request;
  TRY(ParseRequestLine(TakeLine(text), request));
  size_t headers = 0;
  for (std::string_view line = TakeLine(text); !line.empty(); line = TakeLine(text)) {
    if (++headers > kMaxHeaders) return Fail(Code::kInvalidArgument, "too many headers");
    TRY(ParseField(line, request));
  }
  if (request.body == BodyKind::kChunked && request.head.content_length) {
    return Fail(Code::kInvalidArgument,
                "the request has both Content-Length and Transfer-Encoding");
  }
  DropDefaults(request.head);
  if (request.body_bytes > 0) request.body = BodyKind::kLength;
  request.head.has_body = request.body != BodyKind::kNone;
  return request;
}

Result<> ChunkDecoder::OnLine(std::string_view line) {
  switch (state_) {
    case State::kSize: {
      const std::string_view digits = line.substr(0, line.find(';'));
      const auto [end, error] =
          std::from_chars(digits.data(), digits.data() + digits.size(), left_, 16);
      if (error != std::errc() || Trim({end, digits.data() + digits.size()}) != "") {
        return Fail(Code::kInvalidArgument, "a chunk of the body has no size");
      }
      state_ = left_ == 0 ? State::kTrailer : State::kData;
      return {};
    }
    case State::kDataEnd:
      if (!line.empty()) return Fail(Code::kInvalidArgument, "a chunk is longer than its size");
      state_ = State::kSize;
      return {};
    default:
      trailer_bytes_ += line.size();
      if (trailer_bytes_ > kMaxHeadBytes) {
        return Fail(Code::kInvalidArgument, "the body's trailers are too long");
      }
      if (line.empty()) state_ = State::kDone;
      return {};
  }
}

Result<> ChunkDecoder::Decode(std::string_view& bytes, std::string& out) {
  while (!bytes.empty() && state_ != State::kDone) {
    if (state_ == State::kData) {
      const size_t count = std::min<uint64_t>(left_, bytes.size());
      out.append(bytes.substr(0, count));
      bytes.remove_prefix(count);
      left_ -= count;
      if (left_ == 0) state_ = State::kDataEnd;
      continue;
    }
    const size_t end = bytes.find('\n');
    line_.append(bytes.substr(0, end));
    if (line_.size() > kMaxLineBytes) {
      return Fail(Code::kInvalidArgument, "a line of the body's framing is too long");
    }
    bytes.remove_prefix(std::min(end, bytes.size() - 1) + 1);
    if (end == std::string_view::npos) return {};
    if (line_.ends_with('\r')) line_.pop_back();
    TRY(OnLine(line_));
    line_.clear();
  }
  return {};
}

}  // namespace hybridserve::init
