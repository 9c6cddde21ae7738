// Arguments: every command and option of `hybridserve`, their help, and what was asked for.
//
// Thread rule: one thread.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cli/commands.h"
#include "cli/completion.h"

namespace hybridserve::cli {

/// A parsed command line: what to run, or what to print instead (help, a mistake).
struct Parsed {
  CommonOptions common;
  /// Unset when `text` is the whole answer.
  std::function<Outcome(const Session&)> run;
  std::string text;     ///< Help, for standard output; or a mistake, for standard error.
  int exit_status = 0;  ///< Beside `text`: 0 for help, 2 for a mistake.
};

/// `words` is the command line without the program's name.
Parsed ParseArguments(std::vector<std::string> words);

/// The description of all commands, for completion and for the documentation's test.
std::vector<CommandDescription> DescribeCommands();

}  // namespace hybridserve::cli
