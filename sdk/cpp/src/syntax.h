// The words of HTTP (RFC 9110 5.6) and numbers, as every parser here reads them.
//
// Thread rule: pure functions.
#pragma once

#include <cstdint>
#include <string_view>

namespace hs::internal {

/// RFC 9110 5.6.2.
bool IsToken(std::string_view text);
/// RFC 9110 5.5: no control character but the tab.
bool IsFieldValue(std::string_view text);
/// Without spaces and tabs at both ends.
std::string_view Trim(std::string_view text);
/// The whole of `text` as a number without a sign; false when it is none, or too large.
bool ParseNumber(std::string_view text, int base, uint64_t& value);
/// Whether the comma-separated list `value` has `token` in it, in any case.
bool ListHas(std::string_view value, std::string_view token);

}  // namespace hs::internal
