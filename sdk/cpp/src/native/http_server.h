// HttpServer: the native build's HTTP/1.1 server.
//
// Hand-written, because what a container of this platform needs is little and special: it stands
// behind the gateway, is started for single requests, and its start and memory are paid per
// container. Debian's cpp-httplib is a shared library only (no static binary FROM scratch) and
// polls keep-alive connections from a fixed set of threads; Beast costs every function 20 s of
// compiling. One blocking thread a connection answers with a single wake-up per request and lets
// handlers block as they like; the gateway opens as many connections as the manifest's `slots`
// allow. There is always one thread waiting in accept(): who accepts a connection serves it and
// starts a successor if nobody else waits.
//
// Limits: 64 KiB of head, 256 headers, 1,024 threads. A body is held in memory and grows with what
// arrives; the gateway enforces the manifest's limits.body.
#pragma once

#include <atomic>
#include <cstdint>

#include "hybridserve/function.h"

namespace hs::internal {

class HttpServer {
 public:
  using Handler = Response (*)(const Request&);

  /// `handler` is called from several threads at once. The server is never destroyed while it runs:
  /// its threads end with the process.
  explicit HttpServer(Handler handler) : handler_(handler) {}
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  /// Binds 0.0.0.0:`port` and listens; port 0 lets the system choose. Returns the port, or 0 with
  /// errno set.
  uint16_t Listen(uint16_t port);

  /// Accepts and serves; returns only after a failure of accept().
  void Run();

  /// Ends the process with status 0: at once when no request is running, else after the last
  /// answer. Async-signal-safe: made for a SIGTERM handler.
  void Stop();

 private:
  friend class Connection;

  /// Runs Run() on one more thread, if the limits allow it.
  void StartSuccessor();
  void OnRequestBegun() { ++running_; }
  void OnRequestDone();
  /// Whether a connection may stay open after an answer: not while ending, and not while no thread
  /// is left for the connections that wait in the backlog.
  [[nodiscard]] bool MayKeepAlive() const { return !stopping_ && accepting_ > 0; }

  const Handler handler_;
  int listener_ = -1;
  std::atomic<int> threads_{1};    ///< With the one that calls Run.
  std::atomic<int> accepting_{1};  ///< Threads in accept(), or on their way into it.
  std::atomic<int> running_{0};    ///< Requests between their head and the end of their answer.
  std::atomic<bool> stopping_{false};
};

}  // namespace hs::internal
