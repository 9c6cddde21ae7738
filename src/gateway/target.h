// Target: what a request line's target and a Host header mean, before any function is looked up.
//
// Everything is a view into the input; nothing is decoded: a function sees its path as it was sent.
//
// Thread rule: pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace hybridserve {

/// The parts of a request target (RFC 9112 3.2).
struct Target {
  std::string_view path;       ///< Starts with '/', or is "*" (OPTIONS *).
  std::string_view query;      ///< Without '?'.
  std::string_view authority;  ///< Only of an absolute target ("http://host/path"); else empty.
};

/// Takes origin form ("/a?b"), absolute form with http or https, and "*".
/// Errors: kInvalidArgument any other form, a control character, a space or '#'.
Result<Target> ParseTarget(std::string_view target);

/// A path below a function's own route.
struct FunctionPath {
  std::string_view name;         ///< [a-z0-9][a-z0-9_-]{0,62}
  std::string_view script_name;  ///< "/function/NAME"
  std::string_view path;         ///< What follows it; "/" when nothing does.
};

/// Splits "/function/NAME" and "/function/NAME/..."; nothing when the path is no such route.
/// Errors: kInvalidArgument NAME cannot be the name of a function.
Result<std::optional<FunctionPath>> ParseFunctionPath(std::string_view path);

/// The host of a Host header's value, in lower case and without its port, put into `host` (whose
/// memory is used again). Errors: kInvalidArgument it is no host.
Result<> ParseHost(std::string_view value, std::string& host);

}  // namespace hybridserve
