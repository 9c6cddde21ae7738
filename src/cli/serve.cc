// `hybridserve serve`: reads the configuration and becomes the launcher, which starts the server.
#include <unistd.h>

#include <string_view>

#include "base/file.h"
#include "cli/commands.h"
#include "config/node_config.h"

namespace hybridserve::cli {
namespace {

/// The configuration of file, environment and flags; an error names the flag, not its variable.
Result<NodeConfig> Configure(const ServeOptions& options) {
  for (const auto& setting : options.settings) {
    ::setenv(setting.variable.c_str(), setting.value.c_str(), 1);
  }
  Result<NodeConfig> config = LoadNodeConfig(options.config);
  if (config) return config;
  std::string& message = config.error().message;
  for (const auto& setting : options.settings) {
    for (size_t at; (at = message.find(setting.variable)) != std::string::npos;) {
      message.replace(at, setting.variable.size(), setting.flag);
    }
  }
  return config;
}

}  // namespace

Result<std::vector<std::string>> LauncherCommand(const ServeOptions& options,
                                                 const std::filesystem::path& program_folder) {
  TRY_ASSIGN(const NodeConfig config, Configure(options));
  std::vector<std::string> command = {program_folder / "hybridserve-launcher"};
  const auto add = [&command](std::string flag, std::string value) {
    command.push_back(std::move(flag));
    command.push_back(std::move(value));
  };
  add("--state-folder", config.state_folder);
  add("--user", config.user);
  for (const std::string& folder : config.allowed_folders) add("--allow-folder", folder);
  add("--containers", std::string(ContainerRuntimeName(config.containers)));
  if (!config.runtime_address.empty()) add("--runtime-address", config.runtime_address);
  add("--held", std::to_string(config.held));
  add("--log-level", config.log_level);
  command.emplace_back("--");
  command.push_back(program_folder / "hybridserve-server");
  add("--config-json", NodeConfigToJson(config));
  return command;
}

Outcome RunServe(const ServeOptions& options, const Session&) {
  TRY_ASSIGN(std::vector<std::string> command, LauncherCommand(options, ProgramFolder()));
  std::vector<char*> arguments;
  for (std::string& word : command) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  ::execv(arguments[0], arguments.data());
  if (errno == ENOENT) {
    return Fail(Code::kUnsupported, "there is no " + command[0] +
                                        "; the programs of HybridServe must lie in one folder: "
                                        "build or install them all");
  }
  return FailErrno("start " + command[0]);
}

}  // namespace hybridserve::cli
