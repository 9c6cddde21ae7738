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

Result<UniqueFd> ConnectUnix(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return Fail(Code::kInvalidArgument, "the socket path " + path + " is too long");
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return FailErrno("socket");
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return FailErrno("connect to " + path);
  }
  return fd;
}

Result<UniqueFd> ConnectTcp(const Target& target) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(target.port);
  ::inet_pton(AF_INET, target.address.c_str(), &address.sin_addr);
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return FailErrno("socket");
  const int on = 1;
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return FailErrno("connect to " + target.address + ":" + std::to_string(target.port));
  }
  return fd;
}

Result<UniqueFd> ConnectInNamespace(const Target& target) {
  const std::string path = "/proc/" + std::to_string(target.netns_of) + "/ns/net";
  TRY_ASSIGN(const UniqueFd network, OpenFile(path, O_RDONLY));
  if (::setns(network.get(), CLONE_NEWNET) != 0) return FailErrno("enter " + path);
  return ConnectTcp(target);
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
  if (!target.unix_path.empty()) {
    fd = ConnectUnix(target.unix_path);
  } else if (target.netns_of != 0) {
    // A thread of its own: the namespace ends with it, the socket stays in the namespace.
    std::thread([&fd, &target] { fd = ConnectInNamespace(target); }).join();
  } else {
    fd = ConnectTcp(target);
  }
  if (!fd) return fd;
  const timeval timeout{30, 0};
  ::setsockopt(fd->get(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  return fd;
}

}  // namespace hybridserve::bench
