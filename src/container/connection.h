// Connection: one stream to a container, non-blocking, with the buffers that its requests use.
//
// Thread rule: the event loop's thread only; one coroutine reads and one writes at a time.
#pragma once

#include <sys/uio.h>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/awaitable.h"
#include "base/unique_fd.h"

namespace hybridserve {

class Connection {
 public:
  /// Room for a response's head and for a whole small response.
  static constexpr size_t kBufferBytes = 16 * 1024;

  /// `fd` is a connected, non-blocking stream socket.
  Connection(const boost::asio::any_io_executor& executor, UniqueFd fd);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Writes all of `parts`, in order.
  /// Errors: kUnavailable the other end closed or reset it; kCancelled.
  Awaitable<> Write(std::span<const std::string_view> parts);
  Awaitable<> Write(std::string_view bytes);

  /// Whether to try at once, or to wait first since nothing can be there yet.
  enum class Expect : uint8_t { kBytes, kNothingYet };
  /// Reads what is there, at least a byte; 0 at the end of the stream.
  /// Errors: kUnavailable the other end reset it; kCancelled.
  Awaitable<size_t> Read(std::span<char> into, Expect expect);

  /// False when the other end has closed it, or sent bytes that nobody asked for.
  [[nodiscard]] bool IdleAndOpen();

  /// Tells the other end that nothing more comes.
  void ShutdownWrite();
  /// Ends every read and write under way and all later ones.
  void Shutdown();

  [[nodiscard]] bool used() const { return used_; }
  void MarkUsed() { used_ = true; }

  /// Scratch space of the request under way.
  std::string out;
  std::vector<char> in;

 private:
  boost::asio::posix::stream_descriptor stream_;
  bool used_ = false;
};

}  // namespace hybridserve
