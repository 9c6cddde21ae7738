#include "message.h"

#include <algorithm>
#include <array>

#include "syntax.h"

namespace hs::internal {
namespace {

char LowerChar(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

/// A name that CGI can carry: X_A and X-A would be the same variable there. `Proxy` would become
/// HTTP_PROXY, which libraries take for a setting (CVE-2016-5385).
bool IsCarried(std::string_view name) {
  return !EqualsIgnoringCase(name, "proxy") && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
  });
}

/// Headers that frame the message on its connection and say nothing to the function.
bool IsFraming(std::string_view name) {
  constexpr std::array<std::string_view, 6> kFraming = {
      "content-length", "transfer-encoding", "connection", "keep-alive", "expect", "upgrade"};
  return std::ranges::any_of(kFraming,
                             [&](std::string_view f) { return EqualsIgnoringCase(f, name); });
}

struct Phrase {
  int status;
  std::string_view text;
};

constexpr Phrase kPhrases[] = {
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {206, "Partial Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {413, "Content Too Large"},
    {415, "Unsupported Media Type"},
    {422, "Unprocessable Content"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
};

}  // namespace

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), LowerChar);
  return lower;
}

bool EqualsIgnoringCase(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, {}, LowerChar, LowerChar);
}

void AddHeader(std::vector<Header>& headers, std::string_view name, std::string_view value) {
  if (IsFraming(name) || !IsCarried(name)) return;
  std::string lower = Lower(name);
  auto known = std::ranges::find(headers, lower, &Header::name);
  if (known == headers.end()) {
    headers.push_back({std::move(lower), std::string(value)});
    return;
  }
  known->value += lower == "cookie" ? "; " : ", ";
  known->value += value;
}

std::string HeaderLines(const Response& response) {
  std::string lines;
  bool has_type = false;
  for (const Header& header : response.headers) {
    // A header "Status" would be taken for CGI's status line.
    if (IsFraming(header.name) || EqualsIgnoringCase(header.name, "status")) continue;
    if (!IsToken(header.name) || !IsFieldValue(header.value)) continue;
    has_type = has_type || EqualsIgnoringCase(header.name, "content-type");
    lines.append(header.name).append(": ").append(header.value).append("\r\n");
  }
  if (!has_type) lines.append("Content-Type: text/plain; charset=utf-8\r\n");
  return lines;
}

int FinalStatus(const Response& response) {
  return response.status >= 200 && response.status <= 599 ? response.status : 500;
}

std::string_view ReasonPhrase(int status) {
  const auto* phrase = std::ranges::find(kPhrases, status, &Phrase::status);
  return phrase == std::end(kPhrases) ? "Status" : phrase->text;
}

}  // namespace hs::internal
