#include "sandbox/namespaces.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>

#include "base/unique_fd.h"
#include "sandbox/mounts.h"

namespace hybridserve::sandbox {
namespace {

Result<> RaiseLoopback() {
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket) return FailErrno("make a socket");
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  if (::ioctl(socket.get(), SIOCSIFFLAGS, &request) != 0)
    return FailErrno("raise the loopback interface");
  return {};
}

}  // namespace

Result<> EnterNamespaces(const std::vector<int>& join_fds) {
  // Before the cgroup namespace is made: its root is the group that the process is in.
  for (const int fd : join_fds) {
    if (::write(fd, "0", 1) != 1) return FailErrno("enter the cgroup");
  }
  constexpr int kOwn = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWCGROUP;
  if (::unshare(kOwn) != 0) return FailErrno("unshare the namespaces");
  TRY(RaiseLoopback());
  return MakeMountsPrivate();
}

}  // namespace hybridserve::sandbox
