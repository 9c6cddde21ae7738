// CGI: the contract of a Wasm command and of a stdin/stdout program (RFC 3875, as WAGI uses it).
//
// Thread rule: pure functions.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "function/invocation.h"

namespace hybridserve {

using EnvironmentList = std::vector<std::pair<std::string, std::string>>;

/// The meta-variables of RFC 3875 section 4.1 for a request with `body_bytes` of body, then
/// `environment`, without the names that IsCgiVariable() reserves, so that neither can be taken for
/// the other.
///
/// Header X-Y becomes HTTP_X_Y; several of one name are joined by ", " (Cookie by "; "). Left out
/// are `Proxy` (httpoxy, CVE-2016-5385) and names with '_', which would look like another header.
/// Authorization is passed: the function is the party that checks it. HTTP_X_REQUEST_ID is the
/// request's id, whatever the client sent. PATH_INFO is decoded, as the RFC wants it;
/// X_RAW_PATH_INFO is not, and neither is REQUEST_URI, which holds the whole target.
EnvironmentList CgiEnvironment(const RequestHead& head, uint64_t body_bytes,
                               const std::map<std::string, std::string>& environment);

/// The meta-variables alone, appended to `block` as "NAME=VALUE" strings that each end in a zero
/// byte. Returns their number.
uint32_t AppendCgiVariables(const RequestHead& head, uint64_t body_bytes, std::string& block);

/// Whether the name belongs to the request: a meta-variable, or any HTTP_ name.
bool IsCgiVariable(std::string_view name);

/// What a guest wrote: the head, and where the body starts in the bytes it wrote.
struct CgiResponse {
  ResponseHead head;
  size_t body_offset = 0;
};

/// Parses a CGI response (RFC 3875 section 6): header lines ended by LF or CRLF, an empty line, the
/// body. `Status:` sets the status (200..599), `Location:` without it makes it 302. Hop-by-hop
/// headers and Content-Length are dropped. At least one of Content-Type, Status, Location must be
/// there. The head may have 64 KiB and 256 lines.
///
/// Errors: kFunctionFailed, with the offending line (cut to 80 bytes, control bytes escaped).
Result<CgiResponse> ParseCgiResponse(std::string_view bytes);

}  // namespace hybridserve
