// The commands of `hybridserve`. Each takes its options and a Session, prints what it has to say,
// and returns the process's exit status or the failure that main prints.
//
// Thread rule: one thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "cli/session.h"

namespace hybridserve::cli {

/// An exit status, or why the command failed.
using Outcome = Result<int>;

struct ServeOptions {
  std::filesystem::path config;
  /// A flag of the command line stands for a variable of the configuration.
  struct Setting {
    std::string flag;      ///< "--listen"
    std::string variable;  ///< "HYBRIDSERVE_GATEWAY_LISTEN"
    std::string value;
  };
  std::vector<Setting> settings;
};
/// Becomes the node: returns only to report a failure to start it.
Outcome RunServe(const ServeOptions& options, const Session& session);
/// The command line of the launcher that RunServe becomes; `program_folder` holds the programs.
Result<std::vector<std::string>> LauncherCommand(const ServeOptions& options,
                                                 const std::filesystem::path& program_folder);

struct NewOptions {
  std::string name;
  std::string language;          ///< "cpp", "c", "go".
  std::filesystem::path folder;  ///< Empty: ./NAME.
};
Outcome RunNew(const NewOptions& options, const Session& session);

struct BuildOptions {
  std::filesystem::path path = ".";  ///< A function's folder, or its function.toml.
  bool verbose = false;              ///< Show what the build commands print, as they print it.
  std::string base;                  ///< Of the container's images only this one; empty: all.
};
Outcome RunBuild(const BuildOptions& options, const Session& session);

struct DeployOptions {
  std::filesystem::path path = ".";
  std::string base;  ///< The image on this base; empty: on container.base.
};
Outcome RunDeploy(const DeployOptions& options, const Session& session);

struct InvokeOptions {
  std::string name;
  std::string method;                ///< Empty: POST with data, else GET.
  std::string path = "/";            ///< Below the function, with a query.
  std::optional<std::string> data;   ///< The body; "@FILE" reads a file, "@-" standard input.
  std::vector<std::string> headers;  ///< "Name: value".
  std::string route;                 ///< "wasm", "container" or a policy; empty: the node decides.
  std::string gateway;               ///< "http(s)://HOST:PORT"; empty: ask the node.
  std::filesystem::path key_file;    ///< With the function's key; empty: HYBRIDSERVE_KEY, if set.
  bool verbose = false;
};
Outcome RunInvoke(const InvokeOptions& options, const Session& session);

Outcome RunList(const Session& session);

struct DescribeOptions {
  std::string name;
};
Outcome RunDescribe(const DescribeOptions& options, const Session& session);

struct LogsOptions {
  std::string name;
  bool follow = false;
  uint32_t tail = 100;
};
Outcome RunLogs(const LogsOptions& options, const Session& session);

struct RemoveOptions {
  std::vector<std::string> names;
};
Outcome RunRemove(const RemoveOptions& options, const Session& session);

struct RollbackOptions {
  std::string name;
  std::optional<int64_t> to;
};
Outcome RunRollback(const RollbackOptions& options, const Session& session);

struct RegistryOptions {
  std::string action;          ///< "check" or "restore".
  std::filesystem::path file;  ///< For restore; empty: the node's own copy.
};
/// Works on the state folder itself, which no node may run on.
Outcome RunRegistry(const RegistryOptions& options, const Session& session);

struct TokenOptions {
  std::filesystem::path file;  ///< A key file that gets the hash; empty: it is printed as well.
  std::string name;
};
/// Makes a token of the admin API, or a key of a function: they are of one kind.
Outcome RunToken(const TokenOptions& options, const Session& session);

/// The Wasm engines beside this program: version, compilers, modes, and whether each works.
Outcome RunEngines(const Session& session);

Outcome RunVersion(const Session& session);

}  // namespace hybridserve::cli
