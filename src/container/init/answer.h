// Answer: the bytes of what this init sends back.
//
// Thread rule: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "function/invocation.h"

namespace hybridserve::init {

/// Status line, headers and empty line. Without `content_length` the body is chunked; 1xx, 204 and
/// 304 have neither.
std::string AnswerHead(const ResponseHead& head, std::optional<uint64_t> content_length);

/// False where HTTP allows no body: the answer to HEAD; 1xx, 204 and 304.
bool HasBody(std::string_view method, int status);

/// {"error":{"code":"function_failed","message":"..."}}, as the gateway's own errors look.
std::string ErrorBody(const Error& error);

}  // namespace hybridserve::init
