// FunctionView: a function of the admin API (docs/openapi.yaml) in a person's words.
//
// Thread rule: pure functions.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "cli/admin_client.h"

namespace hybridserve::cli {

/// "wasm, container".
std::string BuildsOf(const Json& function);
/// What is in memory: "1 container, 2 of 4 slots busy", "container starting", "wasm code", "idle";
/// "failed" when it cannot be served.
std::string StateOf(const Json& function);
/// How long ago the time at `path` was; empty when there is none.
std::string AgeAt(const Json& document, const std::string& path,
                  std::chrono::system_clock::time_point now);

/// "2026-01-02T03:04:05.678Z" (RFC 3339, UTC).
std::optional<std::chrono::system_clock::time_point> ParseTime(std::string_view text);

}  // namespace hybridserve::cli
