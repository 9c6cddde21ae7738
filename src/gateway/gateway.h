// Gateway: the node's HTTP front. Accepts connections and serves requests to functions, by path
// (/function/NAME/...) or by host, and GET /healthz and /metrics.
//
// Thread rule: the event loop's thread only.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

#include "base/awaitable.h"
#include "config/node_config.h"
#include "router/router.h"
#include "telemetry/metrics.h"
#include "tls/certificate.h"

namespace hybridserve {

class Gateway {
 public:
  struct Options {
    NodeConfig config;  ///< [gateway] and [metrics] of it.
    /// How often deadlines and clients are looked after; how late a timeout may be.
    std::chrono::milliseconds tick{100};
    std::function<std::chrono::steady_clock::time_point()> now = std::chrono::steady_clock::now;
    /// Why a function that the router does not know is out of service; "" where there is none of
    /// that name. May be empty.
    std::function<std::string(const FunctionName&)> out_of_service;
    std::shared_ptr<TlsCertificate> certificate;  ///< nullptr: without TLS.
  };

  /// `router` and `metrics` outlive the requests in flight.
  Gateway(boost::asio::any_io_executor executor, Options options, Router& router, Metrics& metrics);
  ~Gateway();

  /// Binds and starts to accept. Errors: kInvalidArgument `address.host` is no IP address;
  /// kConflict the port is in use; kForbidden this user may not bind it.
  Result<> Listen(const HostPort& address);
  /// The port in use, once it listens; 0 before.
  [[nodiscard]] uint16_t port() const;

  /// Stops accepting, closes connections that wait for a request, lets requests in flight finish,
  /// and ends after config.drain_timeout those that have not. Returns once no connection is left.
  /// Errors: kTimeout some had to be ended.
  Awaitable<> Drain();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;  // Shared by: the coroutine that accepts.
};

}  // namespace hybridserve
