// HttpConnection: one kept-alive HTTP/1.1 connection that times each answer.
//
// Blocking sockets and one thread: what is measured is the way of one request, with the wake-ups
// that an ordinary client has.
//
// Thread rule: one thread at a time.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"

namespace hybridserve::bench {

struct Answer {
  int status = 0;
  std::string head;  ///< Status line and header lines, as received, without the empty line.
  std::string body;  ///< Decoded.
  std::chrono::nanoseconds first_byte{};  ///< From just before the request was sent.
  std::chrono::nanoseconds last_byte{};

  /// The value of a header (name without regard to case), or empty.
  [[nodiscard]] std::string_view Header(std::string_view name) const;
};

class HttpConnection {
 public:
  explicit HttpConnection(UniqueFd stream) : stream_(std::move(stream)) {}

  /// Sends `request` (a whole one) and reads the answer, with Content-Length or chunked. After an
  /// error the connection is of no further use.
  /// Errors: kUnavailable the connection ended or nothing came for 30 s; kCorrupt the answer is not
  /// HTTP/1.1, has no length, or has more than 64 MiB.
  Result<Answer> Send(std::string_view request);

 private:
  Result<> Receive();
  Result<> ReadHead(Answer& answer);
  Result<> ReadBody(Answer& answer);
  Result<> ReadChunks(Answer& answer);
  Result<std::string> TakeLine();
  Result<std::string> TakeBytes(size_t count);

  UniqueFd stream_;
  std::string buffer_;  ///< Received and not yet taken.
};

/// A request as bytes: `method` `path`, Host: `host`, and a Content-Length where there is a body.
std::string MakeRequest(std::string_view method, std::string_view path, std::string_view host,
                        std::string_view body);

}  // namespace hybridserve::bench
