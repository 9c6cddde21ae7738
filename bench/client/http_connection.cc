#include "client/http_connection.h"

#include <strings.h>
#include <sys/socket.h>

#include <cerrno>
#include <charconv>

namespace hybridserve::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kMaxBytes = 64u << 20;

tl::unexpected<Error> NotHttp(const std::string& what) {
  return Fail(Code::kCorrupt, "the answer is not HTTP/1.1: " + what);
}

tl::unexpected<Error> Ended() {
  return Fail(Code::kUnavailable, "the connection ended before the answer did");
}

std::string_view Trim(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

bool SameName(std::string_view a, std::string_view b) {
  return a.size() == b.size() && ::strncasecmp(a.data(), b.data(), a.size()) == 0;
}

Result<size_t> ParseSize(std::string_view text, int base) {
  size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc{} || end != text.data() + text.size()) {
    return NotHttp("bad length '" + std::string(text) + "'");
  }
  if (value > kMaxBytes) return NotHttp("a body of " + std::to_string(value) + " bytes");
  return value;
}

}  // namespace

std::string_view Answer::Header(std::string_view name) const {
  std::string_view rest = head;
  while (!rest.empty()) {
    const size_t end = rest.find('\n');
    const std::string_view line = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
    const size_t colon = line.find(':');
    if (colon != std::string_view::npos && SameName(line.substr(0, colon), name)) {
      return Trim(line.substr(colon + 1));
    }
  }
  return {};
}

Result<Answer> HttpConnection::Send(std::string_view request) {
  Answer answer;
  const Clock::time_point start = Clock::now();
  while (!request.empty()) {
    const ssize_t sent = ::send(stream_.get(), request.data(), request.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && (errno == EPIPE || errno == ECONNRESET)) return Ended();
    if (sent < 0) return FailErrno("send the request");
    request.remove_prefix(static_cast<size_t>(sent));
  }
  if (!buffer_.empty()) return NotHttp("bytes came before the request was sent");
  TRY(Receive());
  answer.first_byte = Clock::now() - start;
  TRY(ReadHead(answer));
  TRY(ReadBody(answer));
  answer.last_byte = Clock::now() - start;
  if (!buffer_.empty()) return NotHttp("bytes came after its end");
  return answer;
}

Result<> HttpConnection::Receive() {
  char bytes[65536];
  ssize_t received = -1;
  do {
    received = ::recv(stream_.get(), bytes, sizeof bytes, 0);
  } while (received < 0 && errno == EINTR);
  if (received < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
    return Fail(Code::kUnavailable, "no answer for 30 s");
  }
  if (received == 0 || (received < 0 && errno == ECONNRESET)) return Ended();
  if (received < 0) return FailErrno("receive the answer");
  buffer_.append(bytes, static_cast<size_t>(received));
  if (buffer_.size() > kMaxBytes) return NotHttp("more than 64 MiB");
  return {};
}

Result<> HttpConnection::ReadHead(Answer& answer) {
  constexpr std::string_view kEnd = "\r\n\r\n";
  size_t end = buffer_.find(kEnd);
  while (end == std::string::npos) {
    TRY(Receive());
    end = buffer_.find(kEnd);
  }
  answer.head = buffer_.substr(0, end);
  buffer_.erase(0, end + kEnd.size());
  constexpr std::string_view kVersion = "HTTP/1.1 ";
  if (!answer.head.starts_with(kVersion)) return NotHttp("'" + answer.head.substr(0, 40) + "'");
  const char* const digits = answer.head.data() + kVersion.size();
  std::from_chars(digits, answer.head.data() + answer.head.size(), answer.status);
  return {};
}

Result<> HttpConnection::ReadBody(Answer& answer) {
  if (SameName(answer.Header("Transfer-Encoding"), "chunked")) return ReadChunks(answer);
  const std::string_view length = answer.Header("Content-Length");
  if (length.empty()) return NotHttp("neither Content-Length nor chunked");
  TRY_ASSIGN(const size_t count, ParseSize(length, 10));
  TRY_ASSIGN(answer.body, TakeBytes(count));
  return {};
}

Result<> HttpConnection::ReadChunks(Answer& answer) {
  for (;;) {
    TRY_ASSIGN(const std::string line, TakeLine());
    TRY_ASSIGN(const size_t count, ParseSize(Trim(line), 16));
    if (count == 0) break;
    TRY_ASSIGN(const std::string piece, TakeBytes(count));
    answer.body += piece;
    TRY(TakeLine());
  }
  // Trailers, to the empty line.
  for (;;) {
    TRY_ASSIGN(const std::string line, TakeLine());
    if (Trim(line).empty()) return {};
  }
}

Result<std::string> HttpConnection::TakeLine() {
  size_t end = buffer_.find('\n');
  while (end == std::string::npos) {
    TRY(Receive());
    end = buffer_.find('\n');
  }
  std::string line = buffer_.substr(0, end);
  buffer_.erase(0, end + 1);
  return line;
}

Result<std::string> HttpConnection::TakeBytes(size_t count) {
  while (buffer_.size() < count) TRY(Receive());
  std::string bytes = buffer_.substr(0, count);
  buffer_.erase(0, count);
  return bytes;
}

std::string MakeRequest(std::string_view method, std::string_view path, std::string_view host,
                        std::string_view body) {
  std::string request;
  request.append(method).append(" ").append(path).append(" HTTP/1.1\r\nHost: ").append(host);
  request.append("\r\n");
  if (!body.empty() || method == "POST" || method == "PUT") {
    request.append("Content-Length: ").append(std::to_string(body.size())).append("\r\n");
  }
  request.append("\r\n").append(body);
  return request;
}

}  // namespace hybridserve::bench
