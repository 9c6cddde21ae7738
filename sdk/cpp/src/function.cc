#include "hybridserve/function.h"

#include <charconv>

#include "message.h"

namespace hs {
namespace {

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::string DecodeQuery(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+') {
      decoded += ' ';
    } else if (text[i] == '%' && i + 2 < text.size() && HexValue(text[i + 1]) >= 0 &&
               HexValue(text[i + 2]) >= 0) {
      decoded += static_cast<char>(HexValue(text[i + 1]) * 16 + HexValue(text[i + 2]));
      i += 2;
    } else {
      decoded += text[i];
    }
  }
  return decoded;
}

std::string_view Request::HeaderValue(std::string_view name) const {
  for (const Header& header : headers) {
    if (internal::EqualsIgnoringCase(header.name, name)) return header.value;
  }
  return {};
}

std::optional<std::string> Request::Parameter(std::string_view name) const {
  for (std::string_view rest = query; !rest.empty();) {
    std::string_view pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
    size_t equals = std::min(pair.find('='), pair.size());
    if (DecodeQuery(pair.substr(0, equals)) != name) continue;
    return DecodeQuery(pair.substr(std::min(pair.size(), equals + 1)));
  }
  return std::nullopt;
}

std::string Request::ParameterOr(std::string_view name, std::string_view otherwise) const {
  std::optional<std::string> value = Parameter(name);
  return value ? *std::move(value) : std::string(otherwise);
}

std::optional<long long> Request::IntegerOr(std::string_view name, long long otherwise,
                                            long long lowest, long long highest) const {
  std::optional<std::string> text = Parameter(name);
  return text ? ParseInteger(*text, lowest, highest) : otherwise;
}

std::optional<long long> ParseInteger(std::string_view text, long long lowest, long long highest) {
  long long value = 0;
  const char* end = text.data() + text.size();
  auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end || value < lowest || value > highest) return std::nullopt;
  return value;
}

Response Response::Of(std::string media_type, std::string body, int status) {
  return {status, {{"Content-Type", std::move(media_type)}}, std::move(body)};
}

Response Response::Text(std::string body, int status) {
  return Of("text/plain; charset=utf-8", std::move(body), status);
}

Response Response::Json(std::string body, int status) {
  return Of("application/json", std::move(body), status);
}

}  // namespace hs
