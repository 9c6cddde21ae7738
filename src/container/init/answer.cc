#include "container/init/answer.h"

#include <cstdio>

namespace hybridserve::init {
namespace {

bool StatusAllowsBody(int status) { return status >= 200 && status != 204 && status != 304; }

std::string_view Reason(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 302:
      return "Found";
    case 400:
      return "Bad Request";
    case 404:
      return "Not Found";
    case 502:
      return "Bad Gateway";
    default:
      return "Status";
  }
}

std::string JsonString(std::string_view text) {
  std::string json = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      json.append(1, '\\').append(1, c);
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char escaped[8];
      std::snprintf(escaped, sizeof(escaped), "\\u%04x", static_cast<unsigned>(c));
      json += escaped;
    } else {
      json += c;
    }
  }
  return json += '"';
}

}  // namespace

std::string AnswerHead(const ResponseHead& head, std::optional<uint64_t> content_length) {
  std::string bytes = "HTTP/1.1 " + std::to_string(head.status) + " ";
  bytes.append(Reason(head.status)).append("\r\n");
  for (const Header& header : head.headers) {
    bytes.append(header.name).append(": ").append(header.value).append("\r\n");
  }
  if (StatusAllowsBody(head.status)) {
    bytes += content_length ? "Content-Length: " + std::to_string(*content_length) + "\r\n"
                            : "Transfer-Encoding: chunked\r\n";
  }
  return bytes += "\r\n";
}

bool HasBody(std::string_view method, int status) {
  return method != "HEAD" && StatusAllowsBody(status);
}

std::string ErrorBody(const Error& error) {
  return "{\"error\":{\"code\":" + JsonString(CodeName(error.code)) +
         ",\"message\":" + JsonString(error.message) + "}}\n";
}

}  // namespace hybridserve::init
