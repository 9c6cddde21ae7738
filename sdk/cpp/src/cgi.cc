#include "cgi.h"

#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdint>

#include "message.h"

namespace hs::internal {
namespace {

constexpr std::string_view kHeaderPrefix = "HTTP_";

/// "X_REQUEST_ID" is the header x-request-id.
std::string HeaderNameOf(std::string_view variable) {
  std::string name = Lower(variable);
  std::ranges::replace(name, '_', '-');
  return name;
}

bool ReadExactly(int fd, std::string& into, uint64_t bytes) {
  // Memory grows with what arrives, not with what was announced.
  constexpr uint64_t kPiece = 16u << 20;
  size_t filled = 0;
  while (filled < bytes) {
    if (filled == into.size()) into.resize(filled + std::min<uint64_t>(bytes - filled, kPiece));
    ssize_t got = read(fd, into.data() + filled, into.size() - filled);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    filled += static_cast<size_t>(got);
  }
  return true;
}

bool WriteBoth(int fd, std::string_view head, std::string_view body) {
  while (!head.empty() || !body.empty()) {
    iovec parts[2] = {{const_cast<char*>(head.data()), head.size()},
                      {const_cast<char*>(body.data()), body.size()}};
    ssize_t put = writev(fd, parts, 2);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return false;
    size_t of_head = std::min(head.size(), static_cast<size_t>(put));
    head.remove_prefix(of_head);
    body.remove_prefix(static_cast<size_t>(put) - of_head);
  }
  return true;
}

}  // namespace

std::optional<Request> ReadCgiRequest(const char* const* environment, int input) {
  Request request;
  uint64_t content_length = 0;
  bool has_raw_path = false;
  for (; environment != nullptr && *environment != nullptr; ++environment) {
    std::string_view entry = *environment;
    size_t equals = entry.find('=');
    if (equals == std::string_view::npos) continue;
    std::string_view name = entry.substr(0, equals);
    std::string_view value = entry.substr(equals + 1);
    if (name.starts_with(kHeaderPrefix)) {
      AddHeader(request.headers, HeaderNameOf(name.substr(kHeaderPrefix.size())), value);
    } else if (name == "REQUEST_METHOD") {
      request.method = value;
    } else if (name == "PATH_INFO") {
      if (!has_raw_path && value.starts_with('/')) request.path = value;
    } else if (name == "X_RAW_PATH_INFO") {  // WAGI's: PATH_INFO before it was decoded.
      has_raw_path = value.starts_with('/');
      if (has_raw_path) request.path = value;
    } else if (name == "QUERY_STRING") {
      request.query = value;
    } else if (name == "CONTENT_TYPE" && !value.empty()) {
      AddHeader(request.headers, "content-type", value);
    } else if (name == "CONTENT_LENGTH" && !value.empty()) {
      auto [end, error] =
          std::from_chars(value.data(), value.data() + value.size(), content_length);
      if (error != std::errc() || end != value.data() + value.size()) return std::nullopt;
    }
  }
  if (!ReadExactly(input, request.body, content_length)) return std::nullopt;
  return request;
}

bool WriteCgiResponse(const Response& response, int output) {
  std::string head = "Status: " + std::to_string(FinalStatus(response)) + " ";
  head.append(ReasonPhrase(FinalStatus(response))).append("\r\n");
  head.append(HeaderLines(response)).append("\r\n");
  return WriteBoth(output, head, response.body);
}

int ServeCgi(Response (*handler)(const Request&), const char* const* environment, int input,
             int output) {
  std::optional<Request> request = ReadCgiRequest(environment, input);
  Response response =
      request ? handler(*request) : Response::Text("the request's body ended early\n", 400);
  return WriteCgiResponse(response, output) ? 0 : 1;
}

}  // namespace hs::internal
