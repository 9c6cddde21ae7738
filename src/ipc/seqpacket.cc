#include "ipc/seqpacket.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace hybridserve::ipc {

Result<std::pair<UniqueFd, UniqueFd>> MakePair(int buffer_bytes) {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) {
    return FailErrno("socketpair");
  }
  std::pair<UniqueFd, UniqueFd> pair{UniqueFd(fds[0]), UniqueFd(fds[1])};
  if (buffer_bytes > 0) {
    for (const int fd : fds) {
      // The system caps this at net.core.wmem_max; a smaller buffer only means fewer in flight.
      (void)::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer_bytes, sizeof(buffer_bytes));
    }
  }
  return pair;
}

Result<> Send(int socket, std::span<const std::string_view> parts, std::span<const int> fds,
              Wait wait) {
  if (parts.size() > 8 || fds.size() > kMaxFds) {
    return Fail(Code::kInternal, "a datagram of too many parts or descriptors");
  }
  std::array<iovec, 8> vectors{};
  for (size_t i = 0; i < parts.size(); ++i) {
    vectors[i] = {const_cast<char*>(parts[i].data()), parts[i].size()};
  }
  msghdr message{};
  message.msg_iov = vectors.data();
  message.msg_iovlen = parts.size();
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxFds)];
  if (!fds.empty()) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(header), fds.data(), fds.size_bytes());
  }
  const int flags = MSG_NOSIGNAL | (wait == Wait::kDont ? MSG_DONTWAIT : 0);
  while (::sendmsg(socket, &message, flags) < 0) {
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return Fail(Code::kUnavailable, "would block");
    return FailErrno("send a datagram");
  }
  return {};
}

Result<> Send(int socket, std::string_view bytes, std::span<const int> fds, Wait wait) {
  return Send(socket, std::span<const std::string_view>(&bytes, 1), fds, wait);
}

Result<Received> Receive(int socket, std::span<char> buffer, Wait wait) {
  iovec vector{buffer.data(), buffer.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxFds)];
  msghdr message{};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  const int flags = MSG_CMSG_CLOEXEC | (wait == Wait::kDont ? MSG_DONTWAIT : 0);
  ssize_t size = 0;
  while ((size = ::recvmsg(socket, &message, flags)) < 0) {
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return Fail(Code::kUnavailable, "would block");
    // A peer that closed with unread data resets the connection: for us the same as closing.
    if (errno == ECONNRESET) return Received{};
    return FailErrno("receive a datagram");
  }
  Received received;
  received.size = static_cast<size_t>(size);
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
      received.fds.emplace_back(fd);
    }
  }
  if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
    return Fail(Code::kCorrupt, "a datagram was larger than its receiver allows");
  }
  return received;
}

}  // namespace hybridserve::ipc
