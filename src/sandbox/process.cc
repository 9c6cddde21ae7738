#include "sandbox/process.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "base/file.h"

namespace hybridserve::sandbox {
namespace {

void ResetSignals() {
  struct sigaction by_default {};
  by_default.sa_handler = SIG_DFL;
  for (int signal = 1; signal < _NSIG; ++signal) ::sigaction(signal, &by_default, nullptr);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

int StatusOf(const siginfo_t& info) {
  return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
}

Result<> WriteFileOnce(const std::string& path, std::string_view text) {
  TRY_ASSIGN(const UniqueFd fd, OpenFile(path, O_WRONLY));
  if (::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return FailErrno("write " + path);
  }
  return {};
}

std::string MapLines(std::span<const IdMapping> map) {
  std::string lines;
  for (const IdMapping& one : map) {
    lines += std::to_string(one.inside) + " " + std::to_string(one.outside) + " " +
             std::to_string(one.count) + "\n";
  }
  return lines;
}

}  // namespace

Result<Child> Clone(const CloneSpec& spec, const std::function<int()>& body) {
  int pidfd = -1;
  clone_args arguments{};
  arguments.flags = spec.namespaces | CLONE_PIDFD;
  arguments.pidfd = reinterpret_cast<uint64_t>(&pidfd);
  arguments.exit_signal = SIGCHLD;
  if (spec.cgroup >= 0) {
    arguments.flags |= CLONE_INTO_CGROUP;
    arguments.cgroup = static_cast<uint64_t>(spec.cgroup);
  }
  const long pid = ::syscall(SYS_clone3, &arguments, sizeof(arguments));
  if (pid < 0) return FailErrno("clone3");
  if (pid == 0) {
    ResetSignals();
    ::_exit(body());
  }
  return Child{static_cast<pid_t>(pid), UniqueFd(pidfd)};
}

std::optional<int> TryReap(const Child& child) {
  siginfo_t info{};
  while (::waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(child.pidfd.get()), &info,
                  WEXITED | WNOHANG) != 0) {
    if (errno != EINTR) return 255;
  }
  if (info.si_pid == 0) return std::nullopt;
  return StatusOf(info);
}

int Reap(const Child& child) {
  siginfo_t info{};
  while (::waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(child.pidfd.get()), &info,
                  WEXITED) != 0) {
    if (errno != EINTR) return 255;
  }
  return StatusOf(info);
}

void Kill(const Child& child, int signal) {
  if (child) ::syscall(SYS_pidfd_send_signal, child.pidfd.get(), signal, nullptr, 0);
}

Result<> MapIds(pid_t pid, std::span<const IdMapping> users, std::span<const IdMapping> groups,
                SetGroups set_groups) {
  const std::string folder = "/proc/" + std::to_string(pid) + "/";
  if (set_groups == SetGroups::kDeny) TRY(WriteFileOnce(folder + "setgroups", "deny"));
  TRY(WriteFileOnce(folder + "uid_map", MapLines(users)));
  return WriteFileOnce(folder + "gid_map", MapLines(groups));
}

void CloseAllExcept(std::span<const int> keep) {
  std::vector<int> sorted(keep.begin(), keep.end());
  std::sort(sorted.begin(), sorted.end());
  int first = 3;
  for (const int fd : sorted) {
    if (fd < first) continue;
    if (fd > first) {
      ::syscall(SYS_close_range, static_cast<unsigned>(first), static_cast<unsigned>(fd - 1), 0u);
    }
    first = fd + 1;
  }
  ::syscall(SYS_close_range, static_cast<unsigned>(first), ~0u, 0u);
}

Result<int> ArrangeDescriptors(std::span<const int> fds, int until_exec) {
  // First move everything out of the way, then down: no descriptor is overwritten before its turn.
  const int end = 3 + static_cast<int>(fds.size());
  const int high_last = ::fcntl(until_exec, F_DUPFD_CLOEXEC, end + 1);
  if (high_last < 0) return FailErrno("duplicate a descriptor");
  std::vector<int> high;
  for (const int fd : fds) {
    const int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, end + 1);
    if (copy < 0) return FailErrno("duplicate a descriptor");
    high.push_back(copy);
  }
  for (size_t i = 0; i < high.size(); ++i) {
    if (::dup2(high[i], 3 + static_cast<int>(i)) < 0) return FailErrno("dup2");
  }
  if (::dup3(high_last, end, O_CLOEXEC) < 0) return FailErrno("dup3");
  ::syscall(SYS_close_range, static_cast<unsigned>(end + 1), ~0u, 0u);
  return end;
}

Result<> DieWithParent(int parent_socket) {
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return FailErrno("prctl(PR_SET_PDEATHSIG)");
  pollfd parent{parent_socket, 0, 0};
  if (::poll(&parent, 1, 0) == 1 && (parent.revents & POLLHUP) != 0) {
    return Fail(Code::kCancelled, "the parent has ended");
  }
  return {};
}

}  // namespace hybridserve::sandbox
