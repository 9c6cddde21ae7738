// Format: numbers as people read them.
//
// Thread rule: pure functions.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace hybridserve::cli {

/// "0 B", "999 B", "1.5 KiB", "12.0 MiB".
std::string HumanBytes(uint64_t bytes);
/// "0.091 ms", "12.3 ms", "1.24 s", "2 min 5 s", "3 h 2 min", "5 d 1 h".
std::string HumanDuration(std::chrono::microseconds duration);
/// "just now", "5 s ago", "3 min ago", "2 h ago", "4 d ago"; never negative.
std::string HumanAge(std::chrono::system_clock::time_point then,
                     std::chrono::system_clock::time_point now);

}  // namespace hybridserve::cli
