// RuntimeChoice: which container runtime this node uses, and why.
//
// A runtime that the operator has named is used or none is: another in its place would hide that
// it is missing. Without a name the first that works is taken.
//
// Thread rule: ChooseRuntime is pure; the probes look at the machine.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "base/result.h"
#include "function/container_runtimes.h"

namespace hybridserve::launcher {

struct RuntimeChoice {
  ContainerRuntimeKind kind = ContainerRuntimeKind::kOff;  ///< Never kAuto. kOff: none.
  /// Of the daemon's socket or the program; empty for kNative and kOff.
  std::filesystem::path address;
  std::string why;  ///< A sentence's part: "the node is root, and this kernel has all it needs".
};

struct RuntimeProbes {
  std::function<Result<>()> native;  ///< Whether our own sandboxes work here.
  /// Where a runtime of another's is. Errors: kUnsupported it is not here; says what was looked for.
  std::function<Result<std::filesystem::path>(ContainerRuntimeKind)> other;
};

RuntimeChoice ChooseRuntime(ContainerRuntimeKind wanted, const RuntimeProbes& probes);

/// The probe of the real machine: the daemon's socket, or the program on the path. `address`, when
/// it is not empty, is where the operator says it is.
Result<std::filesystem::path> FindOtherRuntime(ContainerRuntimeKind kind,
                                               const std::filesystem::path& address);

}  // namespace hybridserve::launcher
