// CGI: the contract of a Wasm command and of a stdin/stdout program (RFC 3875, as WAGI uses it).
//
// Thread rule: pure functions.
#pragma once

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
/// `environment` (which cannot override them). Header X-Y becomes HTTP_X_Y; `Proxy` is left out
/// (httpoxy, CVE-2016-5385), and so is Authorization, unless the guest is meant to see it: it is
/// passed as HTTP_AUTHORIZATION, since the function is the party that checks it.
EnvironmentList CgiEnvironment(const RequestHead& head, uint64_t body_bytes,
                               const std::map<std::string, std::string>& environment);

/// What a guest wrote: the head, and where the body starts in the bytes it wrote.
struct CgiResponse {
  ResponseHead head;
  size_t body_offset = 0;
};

/// Parses a CGI response (RFC 3875 section 6): header lines ended by LF or CRLF, an empty line, the
/// body. `Status:` sets the status (100..599), `Location:` alone makes it 302. Hop-by-hop headers
/// and Content-Length are dropped. At least one of Content-Type, Status, Location must be there.
///
/// Errors: kFunctionFailed, with the offending line (cut to 80 bytes, control bytes escaped).
Result<CgiResponse> ParseCgiResponse(std::string_view bytes);

}  // namespace hybridserve
