#include "container/connection.h"

#include <sys/socket.h>

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cassert>
#include <cerrno>
#include <cstring>

namespace hybridserve {
namespace {

namespace asio = boost::asio;
constexpr auto kNoThrow = asio::as_tuple(asio::use_awaitable);
constexpr size_t kMaxParts = 4;

tl::unexpected<Error> Broken(const char* doing, int error_number) {
  return Fail(Code::kUnavailable,
              std::string(doing) + " the container: " + std::strerror(error_number));
}

bool WouldBlock(int error_number) { return error_number == EAGAIN || error_number == EWOULDBLOCK; }

}  // namespace

Connection::Connection(const asio::any_io_executor& executor, UniqueFd fd)
    : stream_(executor, fd.Release()) {}

Awaitable<> Connection::Write(std::string_view bytes) {
  const std::array<std::string_view, 1> parts{bytes};
  Result<> written = co_await Write(std::span<const std::string_view>(parts));
  co_return written;
}

Awaitable<> Connection::Write(std::span<const std::string_view> parts) {
  assert(parts.size() <= kMaxParts);
  std::array<iovec, kMaxParts> vectors;
  size_t count = 0;
  for (const std::string_view part : parts) {
    if (!part.empty()) vectors[count++] = {const_cast<char*>(part.data()), part.size()};
  }
  size_t first = 0;
  while (first < count) {
    msghdr message{};
    message.msg_iov = &vectors[first];
    message.msg_iovlen = count - first;
    const ssize_t sent = ::sendmsg(stream_.native_handle(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && !WouldBlock(errno)) co_return Broken("write to", errno);
    if (sent < 0) {
      const auto [error] =
          co_await stream_.async_wait(asio::posix::stream_descriptor::wait_write, kNoThrow);
      if (error) co_return Fail(Code::kCancelled, "writing to the container was cancelled");
      continue;
    }
    auto left = static_cast<size_t>(sent);
    while (first < count && left >= vectors[first].iov_len) left -= vectors[first++].iov_len;
    if (first < count) {
      vectors[first].iov_base = static_cast<char*>(vectors[first].iov_base) + left;
      vectors[first].iov_len -= left;
    }
  }
  co_return Result<>{};
}

Awaitable<size_t> Connection::Read(std::span<char> into, Expect expect) {
  bool wait = expect == Expect::kNothingYet;
  for (;;) {
    if (wait) {
      const auto [error] =
          co_await stream_.async_wait(asio::posix::stream_descriptor::wait_read, kNoThrow);
      if (error) co_return Fail(Code::kCancelled, "reading from the container was cancelled");
    }
    const ssize_t size = ::recv(stream_.native_handle(), into.data(), into.size(), MSG_DONTWAIT);
    if (size >= 0) co_return static_cast<size_t>(size);
    if (errno == EINTR) continue;
    if (!WouldBlock(errno)) co_return Broken("read from", errno);
    wait = true;
  }
}

bool Connection::IdleAndOpen() {
  char byte = 0;
  const ssize_t size = ::recv(stream_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return size < 0 && WouldBlock(errno);
}

void Connection::ShutdownWrite() { ::shutdown(stream_.native_handle(), SHUT_WR); }

void Connection::Shutdown() { ::shutdown(stream_.native_handle(), SHUT_RDWR); }

}  // namespace hybridserve
