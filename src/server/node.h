// Node: the unprivileged process, every part built and handed to those that use it.
//
// Life: construct → Start (brings deployed functions back, adopts containers, opens the doors) →
// Stop (no new work, finish what runs, close).
//
// Thread rule: the event loop's thread only.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>

#include "base/awaitable.h"
#include "base/unique_fd.h"
#include "config/node_config.h"

namespace hybridserve {

class Node {
 public:
  /// `launcher` is this process's end of the launcher's socket. `on_fatal` is called when the node
  /// cannot go on (the launcher is gone).
  Node(boost::asio::any_io_executor executor, NodeConfig config, UniqueFd launcher,
       std::function<void(Error)> on_fatal);
  ~Node();

  /// Errors: kConflict a port or the registry is in use; kCorrupt the registry is damaged; those of
  /// opening files.
  Awaitable<> Start();
  /// Finishes requests in flight, and a deploy, each bounded by drain_timeout. Containers are
  /// destroyed. Errors: kTimeout a deploy is still under way: the node must not be destroyed then.
  Awaitable<> Stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hybridserve
