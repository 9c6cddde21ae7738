#include "gateway/response_head.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>

namespace hybridserve {
namespace {

void AppendNumber(std::string& out, uint64_t value) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof(digits), value).ptr;
  out.append(digits, static_cast<size_t>(end - digits));
}

// Microseconds as milliseconds with three decimals.
void AppendMilliseconds(std::string& out, Microseconds time) {
  const auto count = static_cast<uint64_t>(std::max<Microseconds::rep>(time.count(), 0));
  AppendNumber(out, count / 1000);
  const auto rest = static_cast<unsigned>(count % 1000);
  const char decimals[] = {'.', static_cast<char>('0' + rest / 100),
                           static_cast<char>('0' + rest / 10 % 10),
                           static_cast<char>('0' + rest % 10)};
  out.append(decimals, sizeof(decimals));
}

std::string_view ReasonPhrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 206:
      return "Partial Content";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 413:
      return "Content Too Large";
    case 417:
      return "Expectation Failed";
    case 422:
      return "Unprocessable Content";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "";
  }
}

void AppendStatusLine(std::string& out, int status) {
  if (status == 200) {
    out.append("HTTP/1.1 200 OK\r\n");
    return;
  }
  out.append("HTTP/1.1 ");
  AppendNumber(out, static_cast<uint64_t>(status));
  out.push_back(' ');
  out.append(ReasonPhrase(status));
  out.append("\r\n");
}

constexpr std::array<bool, 256> MakeTokenTable() {
  std::array<bool, 256> table{};
  for (int c = '0'; c <= '9'; ++c) table[static_cast<size_t>(c)] = true;
  for (int c = 'a'; c <= 'z'; ++c) table[static_cast<size_t>(c)] = true;
  for (int c = 'A'; c <= 'Z'; ++c) table[static_cast<size_t>(c)] = true;
  for (const char c : std::string_view("!#$%&'*+-.^_`|~")) table[static_cast<size_t>(c)] = true;
  return table;
}
constexpr std::array<bool, 256> kTokenTable = MakeTokenTable();

bool IsToken(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return kTokenTable[static_cast<unsigned char>(c)];
  });
}

bool IsFieldValue(std::string_view value) {
  return std::none_of(value.begin(), value.end(), [](char c) {
    return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
  });
}

bool EqualsLower(std::string_view name, std::string_view lower) {
  return name.size() == lower.size() &&
         std::equal(name.begin(), name.end(), lower.begin(), [](char a, char b) {
           return (a >= 'A' && a <= 'Z' ? static_cast<char>(a + ('a' - 'A')) : a) == b;
         });
}

// Headers that only the gateway may set. The first letter decides for nearly all others.
bool IsOurs(std::string_view name) {
  switch (name[0] | 0x20) {
    case 'c':
      return EqualsLower(name, "connection") || EqualsLower(name, "content-length");
    case 'h':
      return name.size() > 12 && EqualsLower(name.substr(0, 12), "hybridserve-");
    case 'k':
      return EqualsLower(name, "keep-alive");
    case 'p':
      return EqualsLower(name, "proxy-connection");
    case 't':
      return EqualsLower(name, "transfer-encoding") || EqualsLower(name, "te") ||
             EqualsLower(name, "trailer");
    case 'u':
      return EqualsLower(name, "upgrade");
    case 'x':
      return EqualsLower(name, "x-request-id");
    default:
      return false;
  }
}

void AppendField(std::string& out, std::string_view name, std::string_view value) {
  out.append(name);
  out.append(": ");
  out.append(value);
  out.append("\r\n");
}

void AppendServedBy(std::string& out, const ServedBy& served_by) {
  out.append("Server-Timing: queue;dur=");
  AppendMilliseconds(out, served_by.timing.queue);
  out.append(", start;dur=");
  AppendMilliseconds(out, served_by.timing.start);
  out.append(", run;dur=");
  AppendMilliseconds(out, served_by.timing.run);
  out.append("\r\n");
  AppendField(out, "HybridServe-Backend", BackendName(served_by.backend));
  AppendField(out, "HybridServe-Start", StartName(served_by.start));
  AppendField(out, "HybridServe-Reason", served_by.reason);
}

void AppendFraming(std::string& out, const Framing& framing) {
  switch (framing.end) {
    case BodyEnd::kLength:
      out.append("Content-Length: ");
      AppendNumber(out, framing.length);
      out.append("\r\n");
      break;
    case BodyEnd::kChunked:
      out.append("Transfer-Encoding: chunked\r\n");
      break;
    case BodyEnd::kNone:
    case BodyEnd::kClose:
      break;
  }
  if (!framing.keep_alive) {
    out.append("Connection: close\r\n");
  } else if (framing.http_1_0) {
    out.append("Connection: keep-alive\r\n");
  }
}

}  // namespace

void AppendResponseHead(std::string& out, const ResponseHead& head, const Framing& framing) {
  AppendStatusLine(out, head.status);
  bool has_date = framing.date.empty();
  for (const Header& header : head.headers) {
    if (!IsToken(header.name) || !IsFieldValue(header.value) || IsOurs(header.name)) continue;
    has_date = has_date || EqualsLower(header.name, "date");
    AppendField(out, header.name, header.value);
  }
  if (!has_date) AppendField(out, "Date", framing.date);
  if (framing.served_by != nullptr && *framing.served_by) AppendServedBy(out, **framing.served_by);
  if (!framing.request_id.empty()) AppendField(out, "X-Request-Id", framing.request_id);
  AppendFraming(out, framing);
  out.append("\r\n");
}

void AppendChunkSize(std::string& out, uint64_t bytes) {
  char digits[16];
  const auto end = std::to_chars(digits, digits + sizeof(digits), bytes, 16).ptr;
  out.append(digits, static_cast<size_t>(end - digits));
  out.append("\r\n");
}

bool HasNoBody(int status) { return status < 200 || status == 204 || status == 304; }

std::string HttpDate(int64_t unix_seconds) {
  const auto seconds = static_cast<std::time_t>(unix_seconds);
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  // Not strftime: its names depend on the locale.
  static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  char text[64];
  const int size = std::snprintf(text, sizeof(text), "%s, %02d %s %04d %02d:%02d:%02d GMT",
                                 kDays[utc.tm_wday], utc.tm_mday, kMonths[utc.tm_mon],
                                 utc.tm_year + 1900, utc.tm_hour, utc.tm_min, utc.tm_sec);
  return {text, static_cast<size_t>(size)};
}

}  // namespace hybridserve
