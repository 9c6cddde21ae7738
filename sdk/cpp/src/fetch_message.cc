#include "fetch_message.h"

#include <algorithm>

#include "message.h"
#include "syntax.h"

namespace hs::internal {
namespace {

constexpr std::string_view kScheme = "http://";

// What Fetch writes itself.
bool IsOwn(std::string_view name) {
  for (std::string_view own : {"host", "content-length", "transfer-encoding", "connection"}) {
    if (EqualsIgnoringCase(name, own)) return true;
  }
  return false;
}

// "" when it is one that can be sent, else what is wrong.
std::string CheckUrl(std::string_view url) {
  if (EqualsIgnoringCase(url.substr(0, 8), "https://")) {
    return "the URL is https, and Fetch does no TLS; only http URLs are possible";
  }
  if (!EqualsIgnoringCase(url.substr(0, kScheme.size()), kScheme)) {
    return "the URL does not begin with http://";
  }
  std::string_view authority = url.substr(kScheme.size());
  authority = authority.substr(0, authority.find_first_of("/?"));
  if (authority.empty()) return "the URL names no host";
  if (authority.find('@') != std::string_view::npos) return "the URL has user information";
  bool clean = std::ranges::all_of(url, [](unsigned char c) { return c > 0x20 && c < 0x7f; });
  return clean ? "" : "the URL has a space, a control character or one that is not ASCII";
}

std::string CheckRequest(const FetchRequest& request) {
  if (!IsToken(request.method) || request.method == "CONNECT") return "the method is not valid";
  for (const Header& header : request.headers) {
    if (!IsToken(header.name) || !IsFieldValue(header.value)) {
      return "the header '" + header.name + "' has characters that headers cannot have";
    }
  }
  return CheckUrl(request.url);
}

}  // namespace

std::string EncodeRequest(const FetchRequest& request, bool keep_alive, std::string& error) {
  error = CheckRequest(request);
  if (!error.empty()) return {};
  std::string_view url = std::string_view(request.url).substr(0, request.url.find('#'));
  std::string_view authority = url.substr(kScheme.size());
  authority = authority.substr(0, authority.find_first_of("/?"));
  std::string out = request.method + " " + std::string(url) + " HTTP/1.1\r\nHost: ";
  out.append(authority).append("\r\n");
  for (const Header& header : request.headers) {
    if (IsOwn(header.name)) continue;
    out.append(header.name).append(": ").append(header.value).append("\r\n");
  }
  bool may_have_none = request.method == "GET" || request.method == "HEAD";
  if (!request.body.empty() || !may_have_none) {
    out.append("Content-Length: ").append(std::to_string(request.body.size())).append("\r\n");
  }
  out.append(keep_alive ? "\r\n" : "Connection: close\r\n\r\n");
  return out.append(request.body);
}

void ResponseReader::Fail(std::string_view what) {
  state_ = State::kFailed;
  result_ = {};
  result_.error = std::string(what);
}

bool ResponseReader::Feed(std::string_view bytes) {
  if (state_ == State::kHead) {
    head_.append(bytes);
    bytes = {};
    // An interim answer (1xx) is followed by the next head.
    while (state_ == State::kHead) {
      size_t end = head_.find("\r\n\r\n");
      if (std::min(end, head_.size()) > kLargestHead) {
        Fail("the answer's head is too large");
      }
      if (state_ != State::kHead || end == std::string::npos) break;
      std::string head = head_.substr(0, end + 2);
      head_.erase(0, end + 4);
      TakeHead(head);
    }
    if (state_ != State::kHead && state_ != State::kFailed) {
      std::string rest = std::move(head_);
      head_.clear();
      TakeBody(rest);
    }
  } else {
    TakeBody(bytes);
  }
  return state_ != State::kDone && state_ != State::kFailed;
}

void ResponseReader::TakeHead(std::string_view head) {
  result_ = {};
  length_.reset();
  chunked_ = false;
  keep_alive_ = true;
  bool first = true;
  while (!head.empty()) {
    std::string_view line = head.substr(0, head.find("\r\n"));
    head.remove_prefix(std::min(head.size(), line.size() + 2));
    bool good = first ? TakeStatusLine(line) : TakeField(line);
    first = false;
    if (good) continue;
    if (state_ != State::kFailed) Fail("the answer is not valid HTTP/1.1");
    return;
  }
  if (result_.status >= 200) ChooseBody();
}

bool ResponseReader::TakeStatusLine(std::string_view line) {
  if (!line.starts_with("HTTP/1.1 ") && !line.starts_with("HTTP/1.0 ")) return false;
  if (line[7] == '0') keep_alive_ = false;
  uint64_t status = 0;
  if (line.size() < 12 || (line.size() > 12 && line[12] != ' ')) return false;
  if (!ParseNumber(line.substr(9, 3), 10, status) || status < 100 || status > 599) return false;
  result_.status = static_cast<int>(status);
  return status != 101;
}

bool ResponseReader::TakeField(std::string_view line) {
  size_t colon = line.find(':');
  if (colon == std::string_view::npos || !IsToken(line.substr(0, colon))) return false;
  std::string_view value = Trim(line.substr(colon + 1));
  if (!IsFieldValue(value)) return false;
  std::string name = Lower(line.substr(0, colon));
  if (name == "content-length") {
    uint64_t length = 0;
    if (!ParseNumber(value, 10, length) || (length_ && *length_ != length)) return false;
    length_ = length;
  } else if (name == "transfer-encoding") {
    if (chunked_ || !EqualsIgnoringCase(value, "chunked")) return false;
    chunked_ = true;
  } else if (name == "connection") {
    if (ListHas(value, "close")) keep_alive_ = false;
  } else if (result_.headers.size() == kMostHeaders) {
    Fail("the answer has too many headers");
    return false;
  } else {
    result_.headers.push_back({std::move(name), std::string(value)});
  }
  return true;
}

void ResponseReader::ChooseBody() {
  if (chunked_ && length_) return Fail("the answer has two lengths");
  if (head_only_ || result_.status == 204 || result_.status == 304) {
    state_ = State::kDone;
  } else if (chunked_) {
    state_ = State::kChunked;
  } else if (length_) {
    if (*length_ > max_body_bytes_) return Fail("the answer is larger than max_body_bytes");
    state_ = *length_ == 0 ? State::kDone : State::kLength;
  } else {
    state_ = State::kUntilClose;
    keep_alive_ = false;
  }
}

void ResponseReader::TakeBody(std::string_view bytes) {
  if (state_ == State::kLength) {
    size_t left = static_cast<size_t>(*length_) - result_.body.size();
    result_.body.append(bytes.substr(0, left));
    surplus_ = bytes.size() > left;
    if (result_.body.size() == *length_) state_ = State::kDone;
  } else if (state_ == State::kChunked) {
    size_t used = chunks_.Feed(bytes, result_.body);
    surplus_ = used < bytes.size();
    if (chunks_.failed()) return Fail("the answer's chunks are broken");
    if (chunks_.done()) state_ = State::kDone;
  } else if (state_ == State::kUntilClose) {
    result_.body.append(bytes);
  } else {
    surplus_ = surplus_ || !bytes.empty();
  }
  if (result_.body.size() > max_body_bytes_) Fail("the answer is larger than max_body_bytes");
}

void ResponseReader::End() {
  if (state_ == State::kUntilClose) {
    state_ = State::kDone;
  } else if (state_ != State::kDone && state_ != State::kFailed) {
    Fail("the connection ended before the answer was complete");
  }
}

}  // namespace hs::internal
