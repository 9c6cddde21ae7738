// The one socket a guest may have: connected before the guest starts. The kernel's descriptor never
// blocks a call; a guest that has to wait sleeps on its Guard, so that it can be ended.
#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>

#include "executors/common/wasi.h"
#include "executors/common/wasi_errno.h"

namespace hybridserve::wasi {
namespace {

constexpr size_t kMaxParts = 64;  // Of one system call; the guest asks again for the rest.

uint32_t Code(Errno error) { return static_cast<uint32_t>(error); }

// The guest's buffers, as one message.
class Message {
 public:
  explicit Message(const std::vector<std::span<uint8_t>>& buffers) {
    for (const std::span<uint8_t> bytes : buffers) {
      if (header_.msg_iovlen == kMaxParts) break;
      parts_[header_.msg_iovlen++] = {bytes.data(), bytes.size()};
    }
    header_.msg_iov = parts_.data();
  }
  Message(const Message&) = delete;
  Message& operator=(const Message&) = delete;
  [[nodiscard]] msghdr* get() { return &header_; }
  [[nodiscard]] bool empty() const { return header_.msg_iovlen == 0; }

 private:
  std::array<iovec, kMaxParts> parts_;
  msghdr header_{};
};

}  // namespace

void Wasi::AddSocket(UniqueFd socket) {
  socket_variable_.assign(kSocketVariable).append("=");
  socket_variable_.append(std::to_string(descriptors_.size())).push_back('\0');
  const int fd = socket.get();
  descriptors_.push_back({.kind = Kind::kSocket,
                          .readable = true,
                          .writable = true,
                          .fd = fd,
                          .owned = std::move(socket)});
}

Wasi::Descriptor* Wasi::FindSocket(uint64_t fd) {
  Descriptor* descriptor = Find(fd);
  return descriptor != nullptr && descriptor->kind == Kind::kSocket ? descriptor : nullptr;
}

uint32_t Wasi::Ended(Stop stop) {
  return Stopped(stop == Stop::kCancelled ? StopReason::kCancelled : StopReason::kDeadline);
}

// True: try again. False: `result` is what the call returns.
bool Wasi::WaitForSocket(const Descriptor& socket, int16_t events, uint32_t& result) {
  if (errno == EINTR) return true;
  result = Code(FromErrno(errno));
  if (errno != EAGAIN || (socket.flags & kFdNonblock) != 0) return false;
  pollfd waited{socket.fd, events, 0};
  const Stop stop = guard_.Poll({&waited, 1}, SteadyClock::time_point::max());
  if (stop == Stop::kNo) return true;
  result = Ended(stop);
  return false;
}

uint32_t Wasi::Receive(Memory m, Descriptor& socket, int flags, uint64_t size_at) {
  Message message(vectors_);
  ssize_t got = 0;
  while (!message.empty()) {
    got = ::recvmsg(socket.fd, message.get(), flags | MSG_DONTWAIT);
    uint32_t result = 0;
    if (got >= 0) break;
    if (!WaitForSocket(socket, POLLIN, result)) return result;
  }
  return Code(m.Write(size_at, static_cast<uint32_t>(got)) ? Errno::kSuccess : Errno::kFault);
}

uint32_t Wasi::Transmit(Memory m, Descriptor& socket, uint64_t size_at) {
  Message message(vectors_);
  ssize_t sent = 0;
  while (!message.empty()) {
    sent = ::sendmsg(socket.fd, message.get(), MSG_NOSIGNAL | MSG_DONTWAIT);
    uint32_t result = 0;
    if (sent >= 0) break;
    if (!WaitForSocket(socket, POLLOUT, result)) return result;
  }
  return Code(m.Write(size_at, static_cast<uint32_t>(sent)) ? Errno::kSuccess : Errno::kFault);
}

uint32_t Wasi::SockRecv(Memory m, Arguments a) {
  Descriptor* socket = FindSocket(a[0]);
  if (socket == nullptr) return Code(Find(a[0]) == nullptr ? Errno::kBadf : Errno::kNotsock);
  // To wait for all would not be to be ended; a guest asks again for the rest.
  if ((a[3] & ~uint64_t{kRecvPeek}) != 0) return Code(Errno::kNotsup);
  if (const Errno error = ReadIovecs(m, a[1], a[2]); error != Errno::kSuccess) return Code(error);
  if (!m.Write(a[5], uint16_t{0})) return Code(Errno::kFault);
  return Receive(m, *socket, (a[3] & kRecvPeek) != 0 ? MSG_PEEK : 0, a[4]);
}

uint32_t Wasi::SockSend(Memory m, Arguments a) {
  Descriptor* socket = FindSocket(a[0]);
  if (socket == nullptr) return Code(Find(a[0]) == nullptr ? Errno::kBadf : Errno::kNotsock);
  if (a[3] != 0) return Code(Errno::kNotsup);
  if (const Errno error = ReadIovecs(m, a[1], a[2]); error != Errno::kSuccess) return Code(error);
  return Transmit(m, *socket, a[4]);
}

uint32_t Wasi::SockShutdown(Memory /*m*/, Arguments a) {
  const Descriptor* socket = FindSocket(a[0]);
  if (socket == nullptr) return Code(Find(a[0]) == nullptr ? Errno::kBadf : Errno::kNotsock);
  constexpr int kHow[] = {-1, SHUT_RD, SHUT_WR, SHUT_RDWR};
  if (a[1] == 0 || a[1] > (kShutRead | kShutWrite)) return Code(Errno::kInval);
  return ::shutdown(socket->fd, kHow[a[1]]) == 0 ? 0 : Code(FromErrno(errno));
}

}  // namespace hybridserve::wasi
