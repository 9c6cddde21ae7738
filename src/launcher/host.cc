#include "launcher/host.h"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "sandbox/id_range.h"
#include "sandbox/mounts.h"

namespace hybridserve::launcher {
namespace {

// A mount namespace of its own: neither sees what the other mounts from now on.
Result<> LeaveHostMounts() {
  (void)ProgramFolder();  // Known by its path as it is now.
  if (::unshare(CLONE_NEWNS) != 0) return FailErrno("leave the host's mount namespace");
  TRY(sandbox::MakeMountsPrivate());
  return sandbox::LeaveChroot();
}

// Whether the images' file system can translate owners.
Result<> TryIdMappedMount(const StateFolder& state) {
  TRY_ASSIGN(const UniqueFd folder, OpenFile(state.images(), O_PATH | O_DIRECTORY));
  TRY_ASSIGN(const UniqueFd map,
             sandbox::MakeMapNamespace({sandbox::kOwnerBase, sandbox::kRangeBase, 1}));
  TRY(sandbox::CloneTree(folder.get(), map.get(), 0));
  return {};
}

Result<> CheckNative(const Host& host, const StateFolder& state) {
  if (!host.root) return Fail(Code::kUnsupported, "the node was not started as root");
  if (host.isolation != sandbox::Isolation::kNamespaces) {
    return Fail(Code::kUnsupported,
                "this kernel refuses user namespaces (user.max_user_namespaces)");
  }
  if (!host.cgroups) return Fail(Code::kUnsupported, host.abilities.why_not);
  return TryIdMappedMount(state);
}

void Describe(const RuntimeChoice& choice, LauncherAbilities& abilities) {
  abilities.containers = choice.kind != ContainerRuntimeKind::kOff;
  if (abilities.containers) {
    abilities.runtime = ContainerRuntimeName(choice.kind);
    abilities.runtime_why = choice.why;
    abilities.why_not.clear();
  } else {
    abilities.why_not = "no containers: " + choice.why;
  }
}

}  // namespace

Result<Host> ExamineHost(const StateFolder& state, ContainerRuntimeKind wanted,
                         const std::filesystem::path& address) {
  Host host;
  host.root = ::geteuid() == 0;
  if (host.root) TRY(LeaveHostMounts());
  host.isolation = sandbox::ProbeIsolation();
  TRY_ASSIGN(host.container_filter, sandbox::CompileFilter(sandbox::Filter::kContainer));
  TRY_ASSIGN(host.program_filter, sandbox::CompileFilter(sandbox::Filter::kProgram));
  host.abilities.cgroup = "none";
  if (host.root) {
    auto tree = sandbox::OpenCgroupTree("hybridserve-" + state.Tag());
    if (tree) {
      host.cgroups = std::move(*tree);
      host.abilities.cgroup = host.cgroups->kind();
    } else {
      host.abilities.why_not = tree.error().message;
      spdlog::warn("no cgroups, so no memory limits: {}", tree.error().message);
    }
  }
  if (host.isolation != sandbox::Isolation::kNamespaces) {
    spdlog::warn(
        "this kernel refuses user namespaces (user.max_user_namespaces): guests are held by Wasm "
        "and a system-call filter alone; behind those they would see this user's files");
  } else if (!host.root) {
    spdlog::warn("started without root: what guests use of memory and processes is not limited");
  }
  const RuntimeProbes probes{[&host, &state] { return CheckNative(host, state); },
                             [&address](ContainerRuntimeKind kind) {
                               return FindOtherRuntime(kind, address);
                             }};
  host.runtime = ChooseRuntime(wanted, probes);
  Describe(host.runtime, host.abilities);
  host.abilities.full_jail =
      host.root && host.isolation == sandbox::Isolation::kNamespaces && host.cgroups != nullptr;
  return host;
}

}  // namespace hybridserve::launcher
