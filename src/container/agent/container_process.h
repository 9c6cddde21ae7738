// ContainerProcess: a running container as the kernel knows it, whichever runtime made it: the
// first process, its network namespace and its cgroup.
//
// What the data path needs of a container (sockets, measures, freezing, killing) is done here by
// the kernel's own means: a call to a runtime's daemon costs milliseconds.
//
// Thread rule: one thread.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "launcher/messages.h"
#include "sandbox/cgroup.h"
#include "sandbox/network_namespace.h"

namespace hybridserve {

class ContainerProcess {
 public:
  ContainerProcess() = default;
  /// Errors: kNotFound it has ended; kUnsupported its cgroup cannot be reached.
  static Result<ContainerProcess> Open(pid_t pid);

  explicit operator bool() const { return static_cast<bool>(pidfd_); }
  [[nodiscard]] pid_t pid() const { return pid_; }
  /// Readable once it has ended.
  [[nodiscard]] int pidfd() const { return pidfd_.get(); }
  [[nodiscard]] bool Ended() const;

  [[nodiscard]] Result<std::vector<UniqueFd>> MakeSockets(uint32_t count) const {
    return network_.MakeSockets(count);
  }
  [[nodiscard]] Result<UniqueFd> MakeListener(uint16_t port) const {
    return network_.MakeListener(port);
  }
  [[nodiscard]] Result<SandboxUsage> Usage() const;
  /// How often the kernel killed a process in it for want of memory.
  [[nodiscard]] bool OutOfMemory() const { return cgroup_->OomKills() > 0; }
  Result<> SetWeight(uint32_t percent) { return cgroup_->SetWeight(percent); }
  /// Blocks for sandbox::kFreezePatience at most. Errors: kTimeout it runs on.
  Result<> Freeze();
  Result<> Thaw() { return cgroup_->Thaw(); }
  /// SIGKILL to everything in its cgroup, also when it is frozen.
  void Kill();

 private:
  pid_t pid_ = -1;
  UniqueFd pidfd_;
  sandbox::NetworkNamespace network_;
  std::unique_ptr<sandbox::Cgroup> cgroup_;
};

}  // namespace hybridserve
