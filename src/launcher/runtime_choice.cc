#include "launcher/runtime_choice.h"

#include <unistd.h>

#include <cstdlib>
#include <sstream>
#include <system_error>

namespace hybridserve::launcher {
namespace {

using Kind = ContainerRuntimeKind;

constexpr char kDockerSocket[] = "/run/docker.sock";
constexpr char kContainerdSocket[] = "/run/containerd/containerd.sock";
constexpr char kDefaultPath[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

std::string Named(Kind kind) { return std::string(ContainerRuntimeName(kind)); }

Result<RuntimeChoice> Try(Kind kind, const RuntimeProbes& probes) {
  RuntimeChoice choice;
  choice.kind = kind;
  if (kind == Kind::kNative) {
    TRY(probes.native());
  } else {
    TRY_ASSIGN(choice.address, probes.other(kind));
  }
  return choice;
}

RuntimeChoice None(std::string why) { return {Kind::kOff, {}, std::move(why)}; }

Result<std::filesystem::path> FindSocket(const std::filesystem::path& path) {
  std::error_code error;
  if (std::filesystem::is_socket(path, error)) return path;
  return Fail(Code::kUnsupported, "there is no socket " + path.string());
}

Result<std::filesystem::path> FindProgram(const std::string& name) {
  const char* const variable = std::getenv("PATH");
  std::istringstream folders(variable == nullptr ? kDefaultPath : variable);
  for (std::string folder; std::getline(folders, folder, ':');) {
    std::filesystem::path program = std::filesystem::path(folder) / name;
    if (program.is_absolute() && ::access(program.c_str(), X_OK) == 0) return program;
  }
  return Fail(Code::kUnsupported, "there is no program " + name + " on the path");
}

}  // namespace

RuntimeChoice ChooseRuntime(Kind wanted, const RuntimeProbes& probes) {
  if (wanted == Kind::kOff) return None("they are switched off");
  if (wanted != Kind::kAuto) {
    Result<RuntimeChoice> named = Try(wanted, probes);
    if (!named) return None(Named(wanted) + " is configured, but " + named.error().message);
    named->why = "it is configured";
    return std::move(*named);
  }
  std::string lacking;
  for (const Kind kind : {Kind::kNative, Kind::kContainerd, Kind::kDocker}) {
    Result<RuntimeChoice> found = Try(kind, probes);
    if (found) {
      found->why = lacking.empty() ? "this machine has all it needs" : "not " + lacking;
      return std::move(*found);
    }
    lacking += (lacking.empty() ? "" : "; not ") + Named(kind) + ": " + found.error().message;
  }
  return None("not " + lacking);
}

Result<std::filesystem::path> FindOtherRuntime(Kind kind, const std::filesystem::path& address) {
  if (!HasAgent(kind)) {
    return Fail(Code::kUnsupported, "this build has no agent for " + Named(kind));
  }
  if (::geteuid() != 0) {
    return Fail(Code::kUnsupported, "the node was not started as root");
  }
  // A daemon that is away for a while comes back; the agent waits for it.
  if (!address.empty()) return address;
  if (kind == Kind::kDocker) return FindSocket(kDockerSocket);
  if (kind == Kind::kContainerd) return FindSocket(kContainerdSocket);
  return FindProgram(Named(kind));
}

}  // namespace hybridserve::launcher
