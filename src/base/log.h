// Logging: one line an event on standard error, by spdlog. `HYBRIDSERVE_LOG` or the node's
// configuration sets the level. A log line never carries a secret, a body or a bearer token.
// Guests can make a process write (they die, they cannot be started): a process writes so many
// lines a second, and one that says that the others are left out.
//
// Thread rule: safe from any thread once InitLog has run.
#pragma once

#include <spdlog/spdlog.h>

#include <cstdint>
#include <string_view>

namespace hybridserve {

/// Of level info and above, a process.
constexpr uint32_t kLogLinesPerSecond = 200;

/// Sets up the process's log. `process` ("server", "launcher", "executor") is put in each line;
/// `level` is trace|debug|info|warn|error|off; an unknown word means info.
void InitLog(std::string_view process, std::string_view level);

}  // namespace hybridserve
