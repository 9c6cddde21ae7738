// Engines: the Wasm engines and compilers that a function or a node can name. Whether a node has
// one is another question: each is a program of its own (`hybridserve engines`).
//
// Thread rule: plain values and pure functions.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace hybridserve {

struct EngineNames {
  std::string_view name;
  std::span<const std::string_view> compilers;  ///< The first is the default.
};

/// All of them; the first is the default.
std::span<const EngineNames> KnownEngines();

/// An engine and one of its compilers.
struct EngineChoice {
  std::string engine;
  std::string compiler;
  auto operator<=>(const EngineChoice&) const = default;
};

/// Errors: kInvalidArgument there is no such engine; the message names those there are.
Result<> CheckEngineName(std::string_view engine);
/// Both may be empty: the default.
/// Errors: kInvalidArgument those of CheckEngineName; the engine has no such compiler, or a
/// compiler without an engine.
Result<> CheckEngineChoice(std::string_view engine, std::string_view compiler);

/// What `function` asks for, completed: without an engine the node's, without a compiler the
/// engine's default. Both have passed CheckEngineChoice.
EngineChoice CompleteChoice(const EngineChoice& function, const EngineChoice& node);

/// "hybridserve-executor-wasmtime"
std::string ExecutorProgram(std::string_view engine);

}  // namespace hybridserve
