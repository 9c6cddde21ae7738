// ImageConfig: how an image wants to be run, as `hybridserve-unpack` reports it in one line of
// JSON:
//
//   {"entrypoint":["/function"],"cmd":[],"env":{"PATH":"/bin"},"working_folder":"/","uid":0,"gid":0,
//    "exposed_ports":[8080],"bytes":714240,"files":3,"notes":[]}
//
// Thread rule: plain values.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace hybridserve {

struct ImageConfig {
  std::vector<std::string> entrypoint;
  std::vector<std::string> command;
  std::map<std::string, std::string> environment;
  std::string working_folder = "/";  ///< Absolute.
  uint32_t uid = 0;                  ///< Inside the container; 0..65535.
  uint32_t gid = 0;
  std::vector<uint16_t> exposed_ports;  ///< TCP, ascending.
  uint64_t bytes = 0;                   ///< Of the regular files of all layers.
  uint64_t files = 0;                   ///< Entries of every kind, of all layers.
  std::vector<std::string> notes;       ///< What was left out (device nodes), for a person; few.
  bool operator==(const ImageConfig&) const = default;

  /// What to run: `override` if it has words, else entrypoint and command together. Empty when the
  /// image names no program.
  [[nodiscard]] std::vector<std::string> Argv(const std::vector<std::string>& override) const;
};

/// One line, without a newline at its end.
std::string ImageConfigToJson(const ImageConfig& config);

/// Reads what ImageConfigToJson wrote; unknown keys are ignored, surrounding white space too.
/// Errors: kInvalidArgument, naming the key.
Result<ImageConfig> ParseImageConfig(std::string_view json);

}  // namespace hybridserve
