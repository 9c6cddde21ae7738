// ServerLink: the launcher's end of the socket to the server: requests in, answers and events out.
//
// The launcher never blocks on the server: what the socket cannot take waits in a queue, and while
// that is long no further request is read.
//
// Thread rule: one thread, the loop's.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "ipc/wire.h"
#include "launcher/event_loop.h"
#include "launcher/protocol.h"

namespace hybridserve::launcher {

class ServerLink {
 public:
  using OnRequest =
      std::function<void(const Header& header, ipc::Reader& body, std::vector<UniqueFd> fds)>;

  ServerLink(EventLoop& loop, OnRequest on_request)
      : loop_(loop), on_request_(std::move(on_request)) {}
  ~ServerLink() { Close(); }
  ServerLink(const ServerLink&) = delete;
  ServerLink& operator=(const ServerLink&) = delete;

  /// Takes the launcher's end of a new server's socket; what waited for the old one is dropped.
  Result<> Open(UniqueFd socket);
  void Close();
  /// Counts the servers so far: an answer belongs to the one that asked.
  [[nodiscard]] uint64_t generation() const { return generation_; }

  /// Answers a request. Without a server, or for an older one, nothing happens and `fds` close.
  void Answer(uint64_t generation, uint64_t id, const Result<std::string>& result,
              std::vector<UniqueFd> fds);
  void SendEvent(Verb verb, const std::string& body);

 private:
  struct Outgoing {
    std::string bytes;
    std::vector<UniqueFd> fds;
  };

  void Read();
  void Push(Outgoing message);
  void Flush();
  Result<> SendNow(const Outgoing& message);
  void Await(EventLoop::Interest interest);

  EventLoop& loop_;
  OnRequest on_request_;
  UniqueFd socket_;
  std::deque<Outgoing> queue_;
  uint64_t generation_ = 0;
  std::string buffer_;
  bool warned_ = false;  // Of a datagram that is no request; once a server.
};

}  // namespace hybridserve::launcher
