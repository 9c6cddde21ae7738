// WaitForExit: waits on the event loop until a process has ended.
//
// Thread rule: the event loop's thread only.
#pragma once

#include <fcntl.h>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace hybridserve {

/// `pidfd` stays the caller's, who still has to reap a child of its own.
inline boost::asio::awaitable<void> WaitForExit(boost::asio::any_io_executor executor, int pidfd) {
  using Descriptor = boost::asio::posix::stream_descriptor;
  const int own = ::fcntl(pidfd, F_DUPFD_CLOEXEC, 0);
  if (own < 0) co_return;
  Descriptor ended(executor, own);
  co_await ended.async_wait(Descriptor::wait_read,
                            boost::asio::as_tuple(boost::asio::use_awaitable));
}

}  // namespace hybridserve
