// OneShotOptions: the command line of the verb `run` (one_shot.h), checked.
//
// Thread rule: plain values.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "executors/common/arguments.h"
#include "executors/common/program.h"

namespace hybridserve {

struct OneShotOptions {
  std::string compiler;
  Mode mode = Mode::kAot;
  std::string code_file;
  std::string cache_folder;
  bool own_wasi = false;
  std::vector<OwnWasiRun::Folder> folders;
  std::vector<std::string> environment;  ///< "NAME=VALUE".
  uint64_t memory_limit_bytes = 4ull << 30;
  std::chrono::milliseconds timeout{24 * 3600 * 1000};
  uint32_t repeat = 1;
  uint32_t concurrent = 1;
  std::string report_file;
  bool lockdown = true;
  std::vector<std::string> arguments;  ///< The module's file, then the guest's arguments.
};

/// Errors: kInvalidArgument what is wrong with which option; kUnsupported the engine cannot do it.
Result<OneShotOptions> ParseOneShot(const EngineProgram& program, Arguments arguments);

}  // namespace hybridserve
