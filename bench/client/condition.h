// Condition: what has to hold at the admin API before the next sample is taken, such as "the
// function is scaled to zero".
//
// Thread rule: one thread at a time.
#pragma once

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "client/target.h"

namespace hybridserve::bench {

/// "/v1/functions/hello#/status/wasm_loaded=false": the JSON of a path, a pointer into it (RFC
/// 6901), and the value it has to have; ">=" compares numbers.
struct Condition {
  std::string path;
  nlohmann::json::json_pointer pointer;
  bool at_least = false;  ///< ">=" instead of "=".
  nlohmann::json value;

  /// Whether it holds in `document`; false where the pointer leads nowhere.
  [[nodiscard]] bool HoldsIn(const nlohmann::json& document) const;
};

/// Errors: kInvalidArgument.
Result<Condition> ParseCondition(std::string_view text);

/// Asks the admin API at `admin` every 2 ms until all of `conditions` hold.
/// Errors: kTimeout with the last answer; those of the connection.
Result<> WaitFor(const std::vector<Condition>& conditions, const Target& admin,
                 std::chrono::milliseconds timeout);

}  // namespace hybridserve::bench
