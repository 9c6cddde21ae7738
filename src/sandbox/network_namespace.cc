#include "sandbox/network_namespace.h"

#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>

#include "base/file.h"

namespace hybridserve::sandbox {
namespace {

constexpr int kListenQueue = 128;

Result<UniqueFd> MakeSocket() {
  UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket) return FailErrno("make a socket in a container's network");
  return socket;
}

Result<> Listen(int socket, uint16_t port) {
  // Connections of a listener before this one may still hold the port.
  const int on = 1;
  ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(socket, kListenQueue) != 0) {
    return FailErrno("listen on port " + std::to_string(port) + " in a container's network");
  }
  return {};
}

}  // namespace

Result<NetworkNamespace> NetworkNamespace::Of(pid_t pid) {
  NetworkNamespace found;
  TRY_ASSIGN(found.fd_, OpenFile("/proc/" + std::to_string(pid) + "/ns/net", O_RDONLY));
  return found;
}

Result<NetworkNamespace> NetworkNamespace::Make() {
  TRY_ASSIGN(const UniqueFd own, OpenFile("/proc/thread-self/ns/net", O_RDONLY));
  if (::unshare(CLONE_NEWNET) != 0) return FailErrno("make a network namespace");
  NetworkNamespace made;
  Result<UniqueFd> opened = OpenFile("/proc/thread-self/ns/net", O_RDONLY);
  const auto ports = OpenFile("/proc/sys/net/ipv4/ip_unprivileged_port_start", O_WRONLY);
  if (ports) (void)WriteAll(ports->get(), "0");
  if (::setns(own.get(), CLONE_NEWNET) != 0) std::abort();
  if (!opened) return tl::unexpected(std::move(opened.error()));
  made.fd_ = std::move(*opened);
  TRY(made.RaiseLoopback());
  return made;
}

Result<> NetworkNamespace::Inside(const std::function<Result<>()>& work) const {
  TRY_ASSIGN(const UniqueFd own, OpenFile("/proc/thread-self/ns/net", O_RDONLY));
  if (::setns(fd_.get(), CLONE_NEWNET) != 0) return FailErrno("enter the network namespace");
  Result<> worked = work();
  // Staying in a guest's network namespace would be worse than ending.
  if (::setns(own.get(), CLONE_NEWNET) != 0) std::abort();
  return worked;
}

Result<std::vector<UniqueFd>> NetworkNamespace::MakeSockets(uint32_t count) const {
  std::vector<UniqueFd> sockets;
  const auto make = [&sockets, count]() -> Result<> {
    for (uint32_t i = 0; i < count; ++i) {
      TRY_ASSIGN(UniqueFd socket, MakeSocket());
      sockets.push_back(std::move(socket));
    }
    return {};
  };
  TRY(Inside(make));
  return sockets;
}

Result<UniqueFd> NetworkNamespace::MakeListener(uint16_t port) const {
  UniqueFd listener;
  const auto make = [&listener, port]() -> Result<> {
    TRY_ASSIGN(listener, MakeSocket());
    return Listen(listener.get(), port);
  };
  TRY(Inside(make));
  return listener;
}

Result<> NetworkNamespace::RaiseLoopback() const {
  return Inside([]() -> Result<> {
    TRY_ASSIGN(const UniqueFd socket, MakeSocket());
    ifreq request{};
    std::strcpy(request.ifr_name, "lo");
    request.ifr_flags = IFF_UP;
    if (::ioctl(socket.get(), SIOCSIFFLAGS, &request) != 0) {
      return FailErrno("raise a container's loopback interface");
    }
    return {};
  });
}

}  // namespace hybridserve::sandbox
