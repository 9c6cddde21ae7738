// Units: sizes and durations as people write them in function.toml and in the node's configuration.
//
// Thread rule: pure functions.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace hybridserve {

/// "128MiB", "64KiB", "2GiB", "1TiB", or plain bytes: "65536", "65536B". No fractions, no spaces.
/// Errors: kInvalidArgument, a sentence that says how to write it.
Result<uint64_t> ParseSize(std::string_view text);

/// "500ms", "30s", "5m", "2h"; the unit is needed. Errors: kInvalidArgument.
Result<std::chrono::milliseconds> ParseDuration(std::string_view text);

/// The largest unit that is exact: 134217728 is "128MiB", 1000 is "1000B".
std::string FormatSize(uint64_t bytes);
/// The largest unit that is exact: 90000 ms is "90s", 1500 ms is "1500ms".
std::string FormatDuration(std::chrono::milliseconds duration);

/// `text` in single quotes for an error message: control bytes escaped, cut after `max_bytes`.
std::string Quote(std::string_view text, size_t max_bytes = 80);

}  // namespace hybridserve
