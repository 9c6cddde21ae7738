// Proxy: the node's HTTP forward proxy, by which functions with `[network]` call out. Both builds
// reach it, over sockets that the server has made: a listener inside a container's network
// namespace, and one connected pair an invocation of a Wasm guest. Nobody else can.
//
// It takes absolute-form requests and CONNECT, allows what the function's manifest and the node's
// configuration name (allow.h), and streams bodies both ways at flat memory.
//
// Thread rule: the event loop's thread only. Connections under way keep what they need alive.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "container/clock.h"
#include "container/warm_pool.h"
#include "egress/resolver.h"
#include "function/deployed.h"
#include "telemetry/metrics.h"

namespace hybridserve {

struct EgressOptions {
  std::vector<std::string> allowed;  ///< As NodeConfig::allowed_network.
  size_t max_head_bytes = 32 * 1024;
  std::chrono::milliseconds head_timeout{10000};     ///< From a head's first byte to its end.
  std::chrono::milliseconds idle_timeout{75000};     ///< A container's connection between requests.
  std::chrono::milliseconds connect_timeout{10000};  ///< Resolving and connecting together.
  size_t max_connections = 256;                      ///< Of one container; more are closed at once.
  Clock* clock = nullptr;    ///< Outlives the connections; nullptr: the system's.
  Resolver::Lookup lookup = SystemLookup;
};

class Proxy {
 public:
  /// `metrics` outlives the proxy and its connections.
  Proxy(boost::asio::any_io_executor executor, EgressOptions options, Metrics& metrics);
  ~Proxy();

  /// The guest's end of a connection, for one invocation. It ends when the guest closes it.
  Result<UniqueFd> Connect(const DeployedPtr& function);
  /// Serves every connection that `listener` takes, until what is returned is destroyed.
  std::unique_ptr<NetworkService> Serve(UniqueFd listener, const DeployedPtr& function);

  struct Impl;

 private:
  std::shared_ptr<Impl> impl_;  // Shared with connections under way.
};

}  // namespace hybridserve
