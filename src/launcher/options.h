// Options: the launcher's command line.
//
//   hybridserve-launcher --state-folder DIR --user NAME|UID [--allow-folder DIR]...
//       [--containers KIND] [--runtime-address PATH] [--held N] [--log-level LEVEL]
//       -- SERVER_PROGRAM [ARGUMENT]...
//
// Thread rule: plain values.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"
#include "function/container_runtimes.h"

namespace hybridserve::launcher {

struct Options {
  std::filesystem::path state_folder;
  std::string user = "hybridserve";          ///< Whom the server runs as; ignored without root.
  std::vector<std::string> allowed_folders;  ///< Absolute, without "." and "..".
  ContainerRuntimeKind containers = ContainerRuntimeKind::kAuto;
  std::filesystem::path runtime_address;  ///< Absolute, or empty: the usual place.
  uint32_t held = 0;  ///< Sandboxes kept ready for CreateSandbox. 0..16.
  std::string log_level = "info";
  std::vector<std::string> server;  ///< Program and arguments.
};

/// Errors: kInvalidArgument names the flag and what it takes.
Result<Options> ParseOptions(const std::vector<std::string>& arguments);

}  // namespace hybridserve::launcher
