// CGI (RFC 3875, as WAGI uses it): one request from the environment and a descriptor, its answer to
// another descriptor.
//
// Thread rule: any thread; the environment must not change meanwhile.
#pragma once

#include <optional>

#include "hybridserve/function.h"

namespace hs::internal {

/// The request that `environment` ("NAME=VALUE" strings, ended by nullptr) and `input` describe.
/// Reads exactly CONTENT_LENGTH bytes of `input`; nothing without it. Nothing when the body ends
/// early or CONTENT_LENGTH is no number.
std::optional<Request> ReadCgiRequest(const char* const* environment, int input);

/// Writes head and body with as few calls as the system takes them in. False when `output` failed.
bool WriteCgiResponse(const Response& response, int output);

/// Reads, calls `handler`, writes. Returns the process's exit status: 0 once the answer is written.
int ServeCgi(Response (*handler)(const Request&), const char* const* environment, int input,
             int output);

}  // namespace hs::internal
