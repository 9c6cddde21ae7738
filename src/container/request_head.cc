#include "container/request_head.h"

#include <algorithm>
#include <charconv>

namespace hybridserve {
namespace {

bool EqualsIgnoringCase(std::string_view a, std::string_view lower) {
  return a.size() == lower.size() &&
         std::equal(a.begin(), a.end(), lower.begin(), [](char x, char y) {
           return (x >= 'A' && x <= 'Z' ? static_cast<char>(x + 32) : x) == y;
         });
}

void AppendField(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ").append(value).append("\r\n");
}

void AppendLength(std::string& out, uint64_t length) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof digits, length).ptr;
  AppendField(out, "Content-Length", {digits, static_cast<size_t>(end - digits)});
}

// What the client's headers say that the rest of the head depends on.
struct Forwarded {
  std::string_view chain;  // X-Forwarded-For so far
  bool proto = false;
  bool host = false;
};

// Copies what goes through as it is, and notes the rest. Framing and the connection are ours, and
// an interim answer to Expect is the gateway's business.
void AppendClientFields(std::string& out, const RequestHead& head, Forwarded& forwarded) {
  for (const Header& header : head.headers) {
    const std::string_view name = header.name;
    switch (name.empty() ? ' ' : name[0] | 0x20) {
      case 'h':
        if (EqualsIgnoringCase(name, "host")) continue;
        break;
      case 'c':
        if (EqualsIgnoringCase(name, "content-length") || EqualsIgnoringCase(name, "connection")) {
          continue;
        }
        break;
      case 't':
        if (EqualsIgnoringCase(name, "transfer-encoding")) continue;
        break;
      case 'e':
        if (EqualsIgnoringCase(name, "expect")) continue;
        break;
      case 'x':
        if (EqualsIgnoringCase(name, "x-request-id") ||
            EqualsIgnoringCase(name, "x-forwarded-prefix")) {
          continue;
        }
        if (EqualsIgnoringCase(name, "x-forwarded-for")) {
          // Several lines of it are one list; all but the last go through as they are.
          if (!forwarded.chain.empty()) AppendField(out, "X-Forwarded-For", forwarded.chain);
          forwarded.chain = header.value;
          continue;
        }
        forwarded.proto |= EqualsIgnoringCase(name, "x-forwarded-proto");
        forwarded.host |= EqualsIgnoringCase(name, "x-forwarded-host");
        break;
      default:
        break;
    }
    AppendField(out, name, header.value);
  }
}

}  // namespace

BodyFraming RequestFraming(const RequestHead& head) {
  if (head.content_length)
    return *head.content_length == 0 ? BodyFraming::kNone : BodyFraming::kLength;
  return head.has_body ? BodyFraming::kChunked : BodyFraming::kNone;
}

void AppendRequestHead(std::string& out, const RequestHead& head) {
  out.append(head.method).append(" ").append(head.path);
  if (!head.query.empty()) out.append("?").append(head.query);
  out.append(" HTTP/1.1\r\n");
  // An HTTP/1.0 client may have sent none; HTTP/1.1 wants the field.
  AppendField(out, "Host", head.host);

  Forwarded forwarded;
  AppendClientFields(out, head, forwarded);
  out.append("X-Forwarded-For: ");
  if (!forwarded.chain.empty()) out.append(forwarded.chain).append(", ");
  out.append(head.remote_address).append("\r\n");
  if (!forwarded.proto) AppendField(out, "X-Forwarded-Proto", head.https ? "https" : "http");
  if (!forwarded.host && !head.host.empty()) AppendField(out, "X-Forwarded-Host", head.host);
  if (!head.script_name.empty()) AppendField(out, "X-Forwarded-Prefix", head.script_name);
  if (!head.request_id.empty()) AppendField(out, "X-Request-Id", head.request_id);

  switch (RequestFraming(head)) {
    case BodyFraming::kLength:
      AppendLength(out, *head.content_length);
      break;
    case BodyFraming::kChunked:
      AppendField(out, "Transfer-Encoding", "chunked");
      break;
    case BodyFraming::kNone:
      // Methods that usually have a body say that there is none (RFC 9110 8.6).
      if (head.content_length || head.method == "POST" || head.method == "PUT" ||
          head.method == "PATCH") {
        AppendLength(out, 0);
      }
      break;
  }
  out.append("\r\n");
}

bool IsIdempotent(std::string_view method) {
  return method == "GET" || method == "HEAD" || method == "PUT" || method == "DELETE" ||
         method == "OPTIONS" || method == "TRACE";
}

}  // namespace hybridserve
