#include "function/container_runtimes.h"

#include <algorithm>
#include <string>

namespace hybridserve {
namespace {

using Kind = ContainerRuntimeKind;
constexpr std::pair<std::string_view, Kind> kKinds[] = {
    {"auto", Kind::kAuto}, {"off", Kind::kOff},   {"native", Kind::kNative},
    {"runc", Kind::kRunc}, {"crun", Kind::kCrun}, {"containerd", Kind::kContainerd},
    {"docker", Kind::kDocker}};

}  // namespace

std::span<const std::pair<std::string_view, Kind>> ContainerRuntimeKinds() { return kKinds; }

bool HasAgent(Kind kind) {
#ifdef HS_HAS_CONTAINERD
  if (kind == Kind::kContainerd) return true;
#endif
  return kind == Kind::kRunc || kind == Kind::kCrun || kind == Kind::kDocker;
}

std::string_view ContainerRuntimeName(Kind kind) {
  return std::ranges::find(kKinds, kind, &std::pair<std::string_view, Kind>::second)->first;
}

Result<Kind> ParseContainerRuntime(std::string_view name) {
  const auto* found = std::ranges::find(kKinds, name, &std::pair<std::string_view, Kind>::first);
  if (found != std::end(kKinds)) return found->second;
  return Fail(Code::kInvalidArgument,
              "there is no container runtime '" + std::string(name) +
                  "'; there are auto, off, native, runc, crun, containerd and docker");
}

}  // namespace hybridserve
