#include "gateway/target.h"

#include <algorithm>

#include "function/manifest.h"

namespace hybridserve {
namespace {

constexpr std::string_view kFunctionRoute = "/function/";

bool IsTargetChar(char c) { return static_cast<unsigned char>(c) > 0x20 && c != 0x7f && c != '#'; }

bool IsHostChar(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
}

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

bool StartsWithIgnoringCase(std::string_view text, std::string_view lower) {
  return text.size() >= lower.size() && std::equal(lower.begin(), lower.end(), text.begin(),
                                                   [](char a, char b) { return a == Lower(b); });
}

bool IsPort(std::string_view text) {
  return text.size() <= 5 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// True for the inside of an IPv6 literal's brackets, loosely: it is only compared, never connected.
bool IsIpv6(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || c == ':' || c == '.';
  });
}

}  // namespace

Result<Target> ParseTarget(std::string_view target) {
  if (!std::all_of(target.begin(), target.end(), IsTargetChar)) {
    return Fail(Code::kInvalidArgument,
                "the request target has a control character, a space or '#'; percent-encode it");
  }
  Target parsed;
  if (target == "*") {
    parsed.path = target;
    return parsed;
  }
  if (!target.starts_with('/')) {
    size_t scheme = 0;
    if (StartsWithIgnoringCase(target, "http://")) scheme = 7;
    if (StartsWithIgnoringCase(target, "https://")) scheme = 8;
    if (scheme == 0) {
      return Fail(Code::kInvalidArgument, "the request target is neither a path nor an http URL");
    }
    target.remove_prefix(scheme);
    const size_t end = target.find_first_of("/?");
    parsed.authority = target.substr(0, end);
    target.remove_prefix(parsed.authority.size());
    if (parsed.authority.empty()) {
      return Fail(Code::kInvalidArgument, "the request target is a URL without a host");
    }
  }
  const size_t question = target.find('?');
  parsed.path = target.substr(0, question);
  if (parsed.path.empty()) parsed.path = "/";
  if (question != std::string_view::npos) parsed.query = target.substr(question + 1);
  return parsed;
}

Result<std::optional<FunctionPath>> ParseFunctionPath(std::string_view path) {
  if (!path.starts_with(kFunctionRoute)) return std::optional<FunctionPath>();
  FunctionPath parsed;
  const size_t end = path.find('/', kFunctionRoute.size());
  parsed.script_name = path.substr(0, end);
  parsed.name = parsed.script_name.substr(kFunctionRoute.size());
  parsed.path = end == std::string_view::npos ? "/" : path.substr(end);
  TRY(CheckFunctionName(parsed.name));
  return std::optional<FunctionPath>(parsed);
}

Result<> ParseHost(std::string_view value, std::string& host) {
  host.assign(value);
  std::transform(host.begin(), host.end(), host.begin(), Lower);
  size_t end = 0;
  bool good = false;
  if (host.starts_with('[')) {
    end = host.find(']');
    good = end != std::string::npos && IsIpv6(std::string_view(host).substr(1, end - 1));
    if (good) ++end;
  } else {
    end = std::min(host.find(':'), host.size());
    // An empty Host is allowed (RFC 9112 3.2): a target without an authority.
    good = std::all_of(host.begin(), host.begin() + static_cast<std::ptrdiff_t>(end), IsHostChar);
  }
  if (good && end < host.size()) {
    good = host[end] == ':' && IsPort(std::string_view(host).substr(end + 1));
  }
  if (!good) return Fail(Code::kInvalidArgument, "the Host header is no host name or address");
  host.resize(end);
  return {};
}

}  // namespace hybridserve
