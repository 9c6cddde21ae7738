// Completion: scripts for bash, zsh and fish that complete commands, options and function names.
//
// Generated from the program's own description of its commands, so that they never differ from it.
//
// Thread rule: pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace hybridserve::cli {

struct OptionDescription {
  std::vector<std::string> names;  ///< "--follow", "-f".
  std::string help;
  bool takes_value = false;
  std::vector<std::string> choices;  ///< Of the value; empty: anything.
};

/// What a command's words are, for completion.
enum class Argument : uint8_t { kNone, kFunction, kPath };

struct CommandDescription {
  std::string name;
  std::string help;
  Argument argument = Argument::kNone;
  std::vector<std::string> choices;  ///< Of its word, when it takes one of a few.
  std::vector<OptionDescription> options;
};

/// The script for "bash", "zsh" or "fish". Errors: kInvalidArgument another shell.
Result<std::string> CompletionScript(std::string_view shell,
                                     const std::vector<CommandDescription>& commands);

}  // namespace hybridserve::cli
