#include "container/agent/container_process.h"

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <string>
#include <utility>

namespace hybridserve {
namespace {

constexpr int kEndingMilliseconds = 200;

Error HasEnded(pid_t pid) {
  return {Code::kNotFound, "the container's process " + std::to_string(pid) + " has ended"};
}

}  // namespace

Result<ContainerProcess> ContainerProcess::Open(pid_t pid) {
  ContainerProcess process;
  process.pid_ = pid;
  process.pidfd_ = UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!process.pidfd_ && errno == ESRCH) return tl::unexpected(HasEnded(pid));
  if (!process.pidfd_) return FailErrno("open the container's process " + std::to_string(pid));
  TRY_ASSIGN(process.network_, sandbox::NetworkNamespace::Of(pid));
  Result<std::unique_ptr<sandbox::Cgroup>> cgroup = sandbox::OpenCgroupOf(pid);
  if (!cgroup) {
    // One that is ending has left its cgroup.
    pollfd ending{process.pidfd_.get(), POLLIN, 0};
    if (::poll(&ending, 1, kEndingMilliseconds) > 0) return tl::unexpected(HasEnded(pid));
    return tl::unexpected(std::move(cgroup.error()));
  }
  process.cgroup_ = std::move(*cgroup);
  // What was opened by its number belongs to it if it still has that number.
  if (process.Ended()) return tl::unexpected(HasEnded(pid));
  return process;
}

bool ContainerProcess::Ended() const {
  pollfd watched{pidfd_.get(), POLLIN, 0};
  return ::poll(&watched, 1, 0) > 0;
}

Result<SandboxUsage> ContainerProcess::Usage() const {
  TRY_ASSIGN(const sandbox::CgroupUsage usage, cgroup_->Usage());
  return SandboxUsage{usage.memory_bytes, usage.peak_memory_bytes, usage.cpu_time, usage.processes};
}

Result<> ContainerProcess::Freeze() {
  Result<> frozen = cgroup_->Freeze();
  if (!frozen) (void)cgroup_->Thaw();
  return frozen;
}

void ContainerProcess::Kill() {
  if (!pidfd_) return;
  // The end of its first process ends every process of its namespace.
  (void)::syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGKILL, nullptr, 0);
  cgroup_->KillAll();
}

}  // namespace hybridserve
