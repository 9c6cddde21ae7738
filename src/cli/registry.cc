// `hybridserve registry check` and `restore`: what to do about a registry that a node refused.
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/file.h"
#include "cli/commands.h"
#include "config/node_config.h"
#include "store/registry_repair.h"

namespace hybridserve::cli {
namespace {

/// The node's own lock, held meanwhile; none where no node ever ran.
Result<UniqueFd> LockOut(const std::filesystem::path& state_folder) {
  const std::filesystem::path path = state_folder / "lock";
  UniqueFd lock(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (!lock && errno == ENOENT) return lock;
  if (!lock) return FailErrno("open " + path.string());
  TRY_ASSIGN(const bool ours, TryLock(lock.get()));
  if (ours) return lock;
  std::array<char, 32> pid{};
  (void)!::pread(lock.get(), pid.data(), pid.size() - 1, 0);
  return Fail(Code::kConflict, "a node (pid " + std::string(pid.data()) +
                                   ") runs on the state folder " + state_folder.string() +
                                   "; stop it first");
}

Json FunctionsJson(const std::vector<RegisteredFunction>& functions) {
  Json list = Json::array();
  for (const RegisteredFunction& function : functions) {
    list.push_back({{"name", function.name},
                    {"revision", function.revision},
                    {"module", function.module},
                    {"image", function.image}});
  }
  return list;
}

Json FileJson(const RegistryFileReport& file) {
  return {{"path", file.path.string()},
          {"exists", file.exists},
          {"problem", file.problem},
          {"functions", FunctionsJson(file.functions)}};
}

std::string Line(const char* label, const RegistryFileReport& file) {
  std::string state = "whole, " + std::to_string(file.functions.size()) + " functions";
  if (!file.exists) state = "there is none";
  if (!file.problem.empty()) state = file.problem;
  return std::string(label) + file.path.string() + ": " + Printable(state) + "\n";
}

Outcome Check(const std::filesystem::path& folder, const Session& session) {
  TRY_ASSIGN(const RegistryReport report, CheckRegistryFolder(folder));
  const bool whole = report.registry_ok() && report.blob_problems.empty();
  if (session.json()) {
    session.PrintJson({{"ok", whole},
                       {"registry", FileJson(report.registry)},
                       {"copy", FileJson(report.copy)},
                       {"blobs", report.blob_problems}});
  } else {
    session.terminal.Print(Line("registry  ", report.registry) + Line("copy      ", report.copy));
    for (const std::string& problem : report.blob_problems) {
      session.terminal.Print(Printable(problem) + "\n");
    }
  }
  return whole ? 0 : ExitCode(Code::kCorrupt);
}

Outcome Restore(const std::filesystem::path& folder, const std::filesystem::path& file,
                const Session& session) {
  std::optional<std::filesystem::path> from;
  if (!file.empty()) from = file;
  TRY_ASSIGN(const RestoredRegistry restored, RestoreRegistry(folder, from));
  if (session.json()) {
    session.PrintJson({{"changed", restored.changed},
                       {"aside", restored.aside.string()},
                       {"functions", FunctionsJson(restored.functions)},
                       {"lost", FunctionsJson(restored.lost)}});
    return 0;
  }
  const std::string count = std::to_string(restored.functions.size()) + " functions";
  if (!restored.changed) {
    session.terminal.Print("the registry is whole, with " + count + "; nothing was changed\n");
    return 0;
  }
  session.terminal.Print("restored " + count + "; the former files are in " +
                         restored.aside.string() + "\n");
  for (const RegisteredFunction& function : restored.lost) {
    session.terminal.Print("lost: " + Printable(function.name) + ", revision " +
                           std::to_string(function.revision) + "\n");
  }
  return 0;
}

}  // namespace

Outcome RunRegistry(const RegistryOptions& options, const Session& session) {
  if (options.action == "check" && !options.file.empty()) {
    return Fail(Code::kInvalidArgument, "registry check takes no file");
  }
  NodeConfig config;
  const std::filesystem::path& named = session.options.state_folder;
  config.state_folder = named.empty() ? DefaultStateFolder() : std::filesystem::absolute(named);
  TRY_ASSIGN(const UniqueFd lock, LockOut(config.state_folder));
  const std::filesystem::path folder = config.ServerFolder();
  std::error_code error;
  if (!std::filesystem::is_directory(folder, error)) {
    return Fail(Code::kNotFound, "there is no node's state in " + config.state_folder.string());
  }
  if (options.action == "check") return Check(folder, session);
  return Restore(folder, options.file, session);
}

}  // namespace hybridserve::cli
