// AdminServer: the admin API (docs/openapi.yaml), JSON over HTTP on a unix socket and, where
// configured, over TCP with TLS and a bearer token.
//
// Thread rule: the event loop's thread only. Destroy it after Stop has completed, or once the event
// loop has stopped for good.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "admin/admin_json.h"
#include "admin/connection.h"
#include "admin/control_thread.h"
#include "admin/deployer.h"
#include "base/result.h"
#include "function/keys.h"
#include "store/blob_store.h"
#include "telemetry/function_log.h"
#include "tls/certificate.h"

namespace hybridserve {

/// What the API speaks for. All outlive the server.
struct AdminParts {
  Deployer& deployer;
  BlobStore& blobs;
  ControlThread& control;
  FunctionLogs& logs;
  std::function<NodeInfo()> node;
  std::function<std::string()> metrics;  ///< In Prometheus' text format.
};

struct AdminOptions {
  std::filesystem::path socket;  ///< Made with mode 0660; a stale one is replaced.
  std::string listen;            ///< HOST:PORT for TCP; empty: none. The host is an address.
  std::shared_ptr<TlsCertificate> certificate;  ///< Needed with `listen`.
  std::shared_ptr<KeyFile> tokens;              ///< Needed with `listen`.
  uint64_t max_blob_bytes = uint64_t{4} << 30;
  uint32_t max_connections = 256;
  AdminTimeouts timeouts;
};

struct AdminRoute {
  std::string_view method;
  std::string_view path;  ///< "/v1/functions/{name}"
};
/// Every route served.
std::span<const AdminRoute> AdminRoutes();

class AdminServer {
 public:
  AdminServer(boost::asio::any_io_executor executor, AdminOptions options, AdminParts parts);
  ~AdminServer();

  /// Binds the socket and, if configured, the port, and serves. The registry is open by then: its
  /// lock is what keeps a second node from taking this one's socket away.
  /// Errors: kConflict the port is in use; kInvalidArgument no certificate or token, a path too
  /// long for a socket.
  Result<> Listen();

  /// "127.0.0.1:41234": where TCP is served; empty where it is not.
  [[nodiscard]] std::string tcp_address() const;

  /// Takes no more connections, ends idle ones and log streams, and returns once the requests under
  /// way are answered, at `until` at the latest: false when some are not.
  boost::asio::awaitable<bool> Stop(std::chrono::steady_clock::time_point until);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hybridserve
