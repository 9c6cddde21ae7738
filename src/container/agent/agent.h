// Agent: serves a RuntimeHost to the server over the launcher's protocol, so that the server asks
// for containers in one way whoever makes them. It runs as root in a process of its own, which
// talks to the daemon's socket; the server has neither.
//
// Requests are decoded and checked by launcher/requests.h: the server is trusted no more here than
// by the launcher. Several may be under way; their answers come in any order.
//
// Thread rule: the event loop's thread only.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <memory>

#include "base/unique_fd.h"
#include "container/agent/runtime_host.h"

namespace hybridserve {

class Agent {
 public:
  /// `host` outlives the agent and the requests under way. `on_gone` is called once, when the other
  /// end of the socket has closed.
  Agent(boost::asio::any_io_executor executor, UniqueFd socket, RuntimeHost& host,
        std::function<void()> on_gone);
  ~Agent();
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  struct Impl;

 private:
  std::shared_ptr<Impl> impl_;  // Shared by: this object and requests under way.
};

}  // namespace hybridserve
