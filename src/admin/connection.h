// AdminConnection: one connection to the admin API: requests come in one after another, bodies can
// be read piece by piece, answers sent whole or streamed.
//
// Every wait has a time limit: a peer that stops reading or writing is let go of.
//
// Thread rule: the event loop's thread only; one coroutine at a time.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/awaitable.h"
#include "base/result.h"
#include "tls/certificate.h"

namespace hybridserve {

struct AdminTimeouts {
  std::chrono::milliseconds idle{75000};   ///< For the next request on a kept-alive connection.
  std::chrono::milliseconds piece{30000};  ///< For a piece of a body or of an answer.
  std::chrono::milliseconds linger{3000};  ///< For the rest of a body that nobody reads.
};

class AdminConnection {
 public:
  /// `tls` is what to speak TLS with; nullptr: none.
  AdminConnection(boost::asio::generic::stream_protocol::socket socket, AdminTimeouts timeouts,
                  const TlsContextPtr& tls = nullptr);
  ~AdminConnection();
  AdminConnection(const AdminConnection&) = delete;
  AdminConnection& operator=(const AdminConnection&) = delete;

  /// Comes first where TLS is spoken. Errors: kCancelled the client does not speak it; one that
  /// speaks plain HTTP was told.
  Awaitable<> ShakeHands();
  /// Waits for the next request. Errors: kCancelled there is none any more; kInvalidArgument it is
  /// no HTTP (an answer can still be sent).
  Awaitable<> ReadHead();
  [[nodiscard]] std::string_view method() const;
  [[nodiscard]] std::string_view path() const;   ///< Without the query. Not decoded.
  [[nodiscard]] std::string_view query() const;  ///< Without '?'.
  /// Empty where there is none.
  [[nodiscard]] std::string_view header(std::string_view name) const;
  /// Whether the client will wait for another answer after this one.
  [[nodiscard]] bool keep_alive() const;

  /// The next piece of the body; empty at its end. Valid until the next call.
  /// Errors: kTooLarge the body is over `max_bytes`; kCancelled; kInvalidArgument bad framing.
  Awaitable<std::string_view> ReadPiece(uint64_t max_bytes);
  /// The whole body.
  Awaitable<std::string> ReadBody(uint64_t max_bytes);

  /// Sends a whole answer. `extra` is further header lines, each ended by CRLF.
  Awaitable<> Send(int status, std::string_view content_type, std::string_view body,
                   std::string_view extra = {});
  Awaitable<> SendError(const Error& error);
  /// Sends an answer piece by piece, chunked: Begin, Write as often as needed, End.
  Awaitable<> Begin(int status, std::string_view content_type);
  Awaitable<> Write(std::string_view piece);
  Awaitable<> End();
  /// Writes one line of a stream of JSON lines, beginning the answer if need be. A failure shows
  /// at End.
  boost::asio::awaitable<void> WriteEvent(std::string line);
  /// 405 with the methods that the path has: "GET, HEAD".
  Awaitable<> SendMethodNotAllowed(std::string_view allowed);
  /// Whether an answer to the current request was begun.
  [[nodiscard]] bool answered() const;

  /// Calls `gone` once the peer closes its side; for answers that go on for long.
  void WatchPeer(std::function<void()> gone);

  /// Reads what is left of a body, for a while, so that the peer gets to read its answer.
  boost::asio::awaitable<void> Drain();

  /// Ends the connection; what waits on it fails.
  void Close();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hybridserve
