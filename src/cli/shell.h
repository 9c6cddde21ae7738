// Shell: runs one command by /bin/sh and collects what it prints.
//
// Thread rule: any thread.
#pragma once

#include <filesystem>
#include <string>

#include "base/result.h"
#include "cli/toolchain.h"

namespace hybridserve::cli {

struct ShellCommand {
  std::string text;
  std::filesystem::path folder;  ///< Empty: the current one.
  Variables variables;           ///< Added to this process's environment.
  /// Whether its output goes where ours goes, as it comes, instead of into the result.
  enum class Show : uint8_t { kNo, kYes };
  Show show = Show::kNo;
};

struct ShellResult {
  int status = 0;      ///< Exit status; 128+N when signal N ended it.
  std::string output;  ///< Both standard streams together: the last 256 KiB.
};

/// Runs the command to its end. Errors: kInternal it could not be started.
Result<ShellResult> RunShell(const ShellCommand& command);

}  // namespace hybridserve::cli
