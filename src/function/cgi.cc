#include "function/cgi.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

namespace hybridserve {
namespace {

constexpr size_t kMaxHeadBytes = 64 * 1024;
constexpr size_t kMaxHeadLines = 256;
constexpr size_t kShownLineBytes = 80;
// With more headers than this, those of one name are found by sorting.
constexpr size_t kFewHeaders = 48;

constexpr std::array<std::string_view, 22> kMetaVariables = {
    "AUTH_TYPE",       "CONTENT_LENGTH", "CONTENT_TYPE",    "GATEWAY_INTERFACE", "PATH_INFO",
    "PATH_TRANSLATED", "QUERY_STRING",   "REMOTE_ADDR",     "REMOTE_HOST",       "REMOTE_IDENT",
    "REMOTE_PORT",     "REMOTE_USER",    "REQUEST_METHOD",  "REQUEST_URI",       "SCRIPT_NAME",
    "SERVER_NAME",     "SERVER_PORT",    "SERVER_PROTOCOL", "SERVER_SOFTWARE",   "X_FULL_URL",
    "X_MATCHED_ROUTE", "X_RAW_PATH_INFO"};

// Headers that never become an HTTP_ variable; lower case.
constexpr std::array<std::string_view, 6> kUnlistedHeaders = {
    "content-length", "content-type", "host", "proxy", "x-request-id", "transfer-encoding"};

// Response headers of the connection between guest and node, which is none; lower case.
constexpr std::array<std::string_view, 9> kHopByHop = {
    "connection", "keep-alive",        "proxy-connection", "te", "trailer", "upgrade",
    "status",     "transfer-encoding", "content-length"};

bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
char Upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; }

bool EqualsIgnoringCase(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                            [](char x, char y) { return Lower(x) == Lower(y); });
}

template <size_t kCount>
bool Contains(const std::array<std::string_view, kCount>& names, std::string_view name) {
  return std::any_of(names.begin(), names.end(), [name](std::string_view candidate) {
    return EqualsIgnoringCase(candidate, name);
  });
}

int HexValue(char c) {
  if (IsDigit(c)) return c - '0';
  const char lower = Lower(c);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// The path with %XX decoded; as it is when that would give a zero byte or is malformed.
std::string Decode(std::string_view path) {
  if (path.find('%') == std::string_view::npos) return std::string(path);
  std::string decoded;
  decoded.reserve(path.size());
  for (size_t i = 0; i < path.size(); ++i) {
    if (path[i] != '%') {
      decoded.push_back(path[i]);
      continue;
    }
    const int high = i + 2 < path.size() ? HexValue(path[i + 1]) : -1;
    const int low = i + 2 < path.size() ? HexValue(path[i + 2]) : -1;
    if (high < 0 || low < 0 || high + low == 0) return std::string(path);
    decoded.push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  return decoded;
}

const Header* FindHeader(const RequestHead& head, std::string_view name) {
  for (const Header& header : head.headers) {
    if (EqualsIgnoringCase(header.name, name)) return &header;
  }
  return nullptr;
}

// Host and port of "name:8080", "[::1]:8080" or "name".
std::pair<std::string_view, std::string_view> SplitHost(std::string_view host) {
  const size_t colon = host.rfind(':');
  const size_t bracket = host.rfind(']');
  const bool has_port =
      colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket);
  if (!has_port) return {host, "80"};
  return {host.substr(0, colon), host.substr(colon + 1)};
}

bool IsListed(const Header& header) {
  if (header.name.empty() || Contains(kUnlistedHeaders, header.name)) return false;
  return std::all_of(header.name.begin(), header.name.end(),
                     [](char c) { return IsLetter(c) || IsDigit(c) || c == '-'; });
}

// Calls `emit(header, values)` for each name, with its values joined, in the order of first use.
template <typename Emit>
void ForEachHeader(const std::vector<Header>& headers, const Emit& emit) {
  std::string joined;
  const auto join = [&joined](const Header& header) {
    joined += EqualsIgnoringCase(header.name, "cookie") ? "; " : ", ";
    joined += header.value;
  };
  if (headers.size() <= kFewHeaders) {
    for (size_t i = 0; i < headers.size(); ++i) {
      const auto same = [&headers, i](const Header& other) {
        return EqualsIgnoringCase(headers[i].name, other.name);
      };
      if (!IsListed(headers[i]) || std::any_of(headers.begin(), headers.begin() + i, same))
        continue;
      const auto next = std::find_if(headers.begin() + i + 1, headers.end(), same);
      if (next == headers.end()) {
        emit(headers[i].name, headers[i].value);
        continue;
      }
      joined = headers[i].value;
      for (auto it = next; it != headers.end(); it = std::find_if(it + 1, headers.end(), same)) {
        join(*it);
      }
      emit(headers[i].name, joined);
    }
    return;
  }
  std::vector<const Header*> sorted;
  for (const Header& header : headers) {
    if (IsListed(header)) sorted.push_back(&header);
  }
  const auto less = [](const Header* a, const Header* b) {
    return std::lexicographical_compare(a->name.begin(), a->name.end(), b->name.begin(),
                                        b->name.end(),
                                        [](char x, char y) { return Lower(x) < Lower(y); });
  };
  std::stable_sort(sorted.begin(), sorted.end(), less);
  for (size_t i = 0; i < sorted.size();) {
    joined = sorted[i]->value;
    size_t next = i + 1;
    for (; next < sorted.size() && !less(sorted[i], sorted[next]); ++next) join(*sorted[next]);
    emit(sorted[i]->name, joined);
    i = next;
  }
}

// Calls `set(prefix, name, value)` for each meta-variable; a prefix of "HTTP_" means that `name` is
// a header's, still to be written in capitals.
template <typename Set>
void ForEachVariable(const RequestHead& head, uint64_t body_bytes, const Set& set) {
  const auto [server, port] = SplitHost(head.host);
  set("", "GATEWAY_INTERFACE", "CGI/1.1");
  set("", "SERVER_PROTOCOL", "HTTP/1.1");
  set("", "SERVER_SOFTWARE", "HybridServe/" HYBRIDSERVE_VERSION);
  set("", "SERVER_NAME", server);
  set("", "SERVER_PORT", port);
  if (head.https) set("", "HTTPS", "on");
  set("", "REQUEST_METHOD", head.method);
  set("", "SCRIPT_NAME", head.script_name);
  if (head.path.find('%') == std::string::npos) {
    set("", "PATH_INFO", head.path);
  } else {
    set("", "PATH_INFO", Decode(head.path));
  }
  set("", "X_RAW_PATH_INFO", head.path);
  set("", "QUERY_STRING", head.query);
  std::string target = head.script_name + head.path;
  if (!head.query.empty()) target.append("?").append(head.query);
  set("", "REQUEST_URI", target);
  set("", "REMOTE_ADDR", head.remote_address);
  set("", "REMOTE_HOST", head.remote_address);
  if (head.has_body || body_bytes != 0) {
    std::array<char, 20> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), body_bytes).ptr;
    set("", "CONTENT_LENGTH", std::string_view(digits.data(), end));
  }
  const Header* type = FindHeader(head, "content-type");
  if (type != nullptr) set("", "CONTENT_TYPE", type->value);
  if (!head.host.empty()) set("HTTP_", "HOST", head.host);
  if (!head.request_id.empty()) set("HTTP_", "X_REQUEST_ID", head.request_id);
  ForEachHeader(head.headers, [&set](std::string_view name, std::string_view value) {
    set("HTTP_", name, value);
  });
}

void AppendVariableName(std::string_view prefix, std::string_view name, std::string& out) {
  out.append(prefix);
  if (prefix.empty()) {
    out.append(name);
    return;
  }
  for (const char c : name) out.push_back(c == '-' ? '_' : Upper(c));
}

// A line for an error message: cut, and with control bytes as \xNN.
std::string Show(std::string_view line) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string shown;
  for (const char c : line.substr(0, kShownLineBytes)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f) {
      shown.push_back(c);
    } else {
      shown.append("\\x").append({kDigits[byte >> 4], kDigits[byte & 15]});
    }
  }
  return line.size() > kShownLineBytes ? shown + "..." : shown;
}

tl::unexpected<Error> Bad(std::string_view what, std::string_view line) {
  return Fail(Code::kFunctionFailed, "the function wrote bad CGI headers: " + std::string(what) +
                                         ": \"" + Show(line) + "\"");
}

bool IsToken(std::string_view name) {
  static constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return IsLetter(c) || IsDigit(c) || kMarks.find(c) != std::string_view::npos;
  });
}

bool IsFieldValue(std::string_view value) {
  return std::all_of(value.begin(), value.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
  });
}

std::string_view Trim(std::string_view text) {
  const size_t start = text.find_first_not_of(" \t");
  if (start == std::string_view::npos) return {};
  return text.substr(start, text.find_last_not_of(" \t") - start + 1);
}

// "404" or "404 Not Found".
std::optional<int> ParseStatus(std::string_view value) {
  if (value.size() < 3 || !std::all_of(value.begin(), value.begin() + 3, IsDigit)) return {};
  if (value.size() > 3 && value[3] != ' ') return {};
  const int status = (value[0] - '0') * 100 + (value[1] - '0') * 10 + (value[2] - '0');
  if (status < 200 || status > 599) return {};
  return status;
}

}  // namespace

bool IsCgiVariable(std::string_view name) {
  return name.starts_with("HTTP_") ||
         std::find(kMetaVariables.begin(), kMetaVariables.end(), name) != kMetaVariables.end();
}

uint32_t AppendCgiVariables(const RequestHead& head, uint64_t body_bytes, std::string& block) {
  uint32_t count = 0;
  ForEachVariable(
      head, body_bytes,
      [&block, &count](std::string_view prefix, std::string_view name, std::string_view value) {
        if (value.find('\0') != std::string_view::npos) return;
        AppendVariableName(prefix, name, block);
        block.push_back('=');
        block.append(value);
        block.push_back('\0');
        ++count;
      });
  return count;
}

EnvironmentList CgiEnvironment(const RequestHead& head, uint64_t body_bytes,
                               const std::map<std::string, std::string>& environment) {
  EnvironmentList list;
  ForEachVariable(head, body_bytes,
                  [&list](std::string_view prefix, std::string_view name, std::string_view value) {
                    if (value.find('\0') != std::string_view::npos) return;
                    std::string variable;
                    AppendVariableName(prefix, name, variable);
                    list.emplace_back(std::move(variable), value);
                  });
  for (const auto& [name, value] : environment) {
    if (!IsCgiVariable(name)) list.emplace_back(name, value);
  }
  return list;
}

Result<CgiResponse> ParseCgiResponse(std::string_view bytes) {
  CgiResponse response;
  std::optional<int> status;
  bool has_location = false;
  bool has_type = false;
  size_t at = 0;
  for (size_t lines = 0;; ++lines) {
    const size_t end = bytes.substr(0, kMaxHeadBytes).find('\n', at);
    if (end == std::string_view::npos) {
      if (bytes.empty()) return Fail(Code::kFunctionFailed, "the function wrote no response");
      return Bad(bytes.size() > kMaxHeadBytes ? "no empty line in the first 64 KiB, which start"
                                              : "no empty line after them; the last line is",
                 bytes.size() > kMaxHeadBytes ? bytes : bytes.substr(at));
    }
    std::string_view line = bytes.substr(at, end - at);
    at = end + 1;
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (line.empty()) break;
    if (lines == kMaxHeadLines) return Bad("more than 256 lines, the next", line);
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) return Bad("a line without a colon", line);
    const std::string_view name = line.substr(0, colon);
    const std::string_view value = Trim(line.substr(colon + 1));
    if (!IsToken(name)) return Bad("a bad header name", line);
    if (!IsFieldValue(value)) return Bad("a control byte in a value", line);
    if (EqualsIgnoringCase(name, "status")) {
      status = ParseStatus(value);
      if (!status) return Bad("a status that is not 200 to 599", line);
    }
    if (Contains(kHopByHop, name)) continue;
    has_location = has_location || EqualsIgnoringCase(name, "location");
    has_type = has_type || EqualsIgnoringCase(name, "content-type");
    response.head.headers.push_back({std::string(name), std::string(value)});
  }
  if (!status && !has_location && !has_type) {
    return Bad("none of Content-Type, Status and Location is there; the output starts",
               bytes.substr(0, bytes.find('\n')));
  }
  response.head.status = status.value_or(has_location ? 302 : 200);
  response.body_offset = at;
  return response;
}

}  // namespace hybridserve
