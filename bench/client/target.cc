#include "client/target.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <thread>

#include "base/file.h"

namespace hybridserve::bench {
namespace {

// A socket address of either kind.
struct Address {
  sockaddr_storage bytes{};
  socklen_t size = 0;
  std::string name;
};

Result<Address> AddressOf(const Target& target) {
  Address address;
  if (target.unix_path.empty()) {
    auto& tcp = reinterpret_cast<sockaddr_in&>(address.bytes);
    tcp.sin_family = AF_INET;
    tcp.sin_port = htons(target.port);
    ::inet_pton(AF_INET, target.address.c_str(), &tcp.sin_addr);
    address.size = sizeof tcp;
    address.name = target.address + ":" + std::to_string(target.port);
    return address;
  }
  auto& local = reinterpret_cast<sockaddr_un&>(address.bytes);
  local.sun_family = AF_UNIX;
  if (target.unix_path.size() >= sizeof local.sun_path) {
    return Fail(Code::kInvalidArgument, "the socket path " + target.unix_path + " is too long");
  }
  std::memcpy(local.sun_path, target.unix_path.c_str(), target.unix_path.size() + 1);
  address.size = sizeof local;
  address.name = target.unix_path;
  return address;
}

Result<UniqueFd> Connect(const Target& target, int flags) {
  TRY_ASSIGN(const Address address, AddressOf(target));
  UniqueFd fd(::socket(address.bytes.ss_family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0));
  if (!fd) return FailErrno("socket");
  const int on = 1;
  if (target.unix_path.empty()) {
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  const auto* const to = reinterpret_cast<const sockaddr*>(&address.bytes);
  if (::connect(fd.get(), to, address.size) == 0 || errno == EINPROGRESS) return fd;
  const int error = errno;
  if (error == ECONNREFUSED || error == EAGAIN) {
    return Fail(Code::kUnavailable, "connect to " + address.name + ": " + std::strerror(error));
  }
  return FailErrno("connect to " + address.name, error);
}

Result<UniqueFd> ConnectInNamespace(const Target& target) {
  const std::string path = "/proc/" + std::to_string(target.netns_of) + "/ns/net";
  TRY_ASSIGN(const UniqueFd network, OpenFile(path, O_RDONLY));
  if (::setns(network.get(), CLONE_NEWNET) != 0) return FailErrno("enter " + path);
  return Connect(target, 0);
}

}  // namespace

Result<Target> ParseTarget(std::string_view text) {
  constexpr std::string_view kUnix = "unix:";
  Target target;
  if (text.starts_with(kUnix)) {
    target.unix_path = text.substr(kUnix.size());
    return target;
  }
  const size_t colon = text.rfind(':');
  const std::string_view port = colon == std::string_view::npos ? "" : text.substr(colon + 1);
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), target.port);
  target.address = text.substr(0, colon);
  in_addr parsed{};
  if (error != std::errc{} || end != port.data() + port.size() || target.port == 0 ||
      ::inet_pton(AF_INET, target.address.c_str(), &parsed) != 1) {
    return Fail(Code::kInvalidArgument, "'" + std::string(text) +
                                            "' is neither ADDRESS:PORT (such as 127.0.0.1:8080) "
                                            "nor unix:PATH");
  }
  return target;
}

Result<UniqueFd> ConnectTo(const Target& target) {
  Result<UniqueFd> fd;
  if (target.netns_of != 0 && target.unix_path.empty()) {
    // A thread of its own: the namespace ends with it, the socket stays in the namespace.
    std::thread([&fd, &target] { fd = ConnectInNamespace(target); }).join();
  } else {
    fd = Connect(target, 0);
  }
  if (!fd) return fd;
  const timeval timeout{30, 0};
  ::setsockopt(fd->get(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  return fd;
}

Result<UniqueFd> StartConnecting(const Target& target) { return Connect(target, SOCK_NONBLOCK); }

}  // namespace hybridserve::bench
