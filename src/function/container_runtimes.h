// ContainerRuntimes: what a node can have its containers made by. Whether a node has one is another
// question: the launcher looks when it starts.
//
// Thread rule: plain values and pure functions.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace hybridserve {

enum class ContainerRuntimeKind : uint8_t {
  kAuto,        ///< The first that the node has, of: native, containerd, docker.
  kOff,         ///< None: everything runs in Wasm.
  kNative,      ///< Our own sandboxes.
  kRunc,        ///< The program runc.
  kCrun,        ///< The program crun.
  kContainerd,  ///< The daemon, over gRPC.
  kDocker,      ///< Docker Engine, over its API.
};

/// Every kind with the name that people write.
std::span<const std::pair<std::string_view, ContainerRuntimeKind>> ContainerRuntimeKinds();

/// Whether this build has an agent for it (container/agent); never for kNative, which needs none.
bool HasAgent(ContainerRuntimeKind kind);

/// "docker".
std::string_view ContainerRuntimeName(ContainerRuntimeKind kind);

/// Errors: kInvalidArgument there is no such kind; the message names those there are.
Result<ContainerRuntimeKind> ParseContainerRuntime(std::string_view name);

}  // namespace hybridserve
