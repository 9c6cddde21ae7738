// NodeConfig: how one node runs. From a TOML file, then HYBRIDSERVE_* environment variables, then
// flags of `serve`; the later wins.
//
// Thread rule: plain values.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"
#include "function/container_runtimes.h"
#include "function/engines.h"
#include "function/manifest.h"

namespace hybridserve {

struct NodeConfig {
  // [node]
  std::filesystem::path
      state_folder;  ///< Default /var/lib/hybridserve, or $XDG_STATE_HOME/hybridserve.
  std::string user = "hybridserve";  ///< Whom the server runs as when started by root.
  std::string log_level = "info";

  // [gateway]
  std::string listen = "127.0.0.1:8080";  ///< HOST:PORT; port 0 lets the system choose.
  uint32_t max_connections = 10000;
  uint32_t header_bytes = 32 * 1024;  ///< Largest request head; more is 431.
  std::chrono::milliseconds header_timeout{
      10000};  ///< From a request's first byte to its head's end.
  std::chrono::milliseconds idle_timeout{75000};   ///< A keep-alive connection without a request.
  std::chrono::milliseconds body_timeout{30000};   ///< Between two pieces of a body.
  /// Bytes a second that a client must send of a body, and take of an answer, on average over the
  /// time for which the node waits for it, after a first body_timeout; 0: no bound.
  uint64_t min_rate_bytes = 512;
  std::chrono::milliseconds drain_timeout{30000};  ///< For requests in flight at SIGTERM.
  std::string tls_certificate;  ///< PEM file with the chain; empty: no TLS.
  std::string tls_key;          ///< PEM file with its key.

  // [admin]
  std::string admin_listen;           ///< HOST:PORT for TCP; empty: unix socket only.
  std::string admin_token_file;       ///< File with hashes of bearer tokens; needed for TCP.
  std::string admin_tls_certificate;  ///< As the gateway's; needed for TCP.
  std::string admin_tls_key;
  uint64_t max_blob_bytes = uint64_t{4} << 30;  ///< Largest module or image that can be uploaded.

  // [policy]
  PolicyKind policy = PolicyKind::kPaper;
  bool allow_route_header = false;  ///< Whether HybridServe-Route: is obeyed.

  // [wasm]
  uint32_t wasm_threads = 32;                ///< Guests at once in one executor. 1..256.
  EngineChoice engine;  ///< Of functions that name none; empty fields: defaults.
  uint64_t wasm_memory_bytes = 0;            ///< Of one executor; 0 means half of the machine's.
  std::chrono::milliseconds compile_timeout{120000};  ///< Of one module's compile; then refused.
  std::vector<std::string> allowed_folders;  ///< Host folders (and below) that manifests may grant.

  // [container]
  ContainerRuntimeKind containers = ContainerRuntimeKind::kAuto;
  std::string runtime_address;  ///< Of the daemon's socket or the program; empty: the usual place.
  uint32_t boots = 1;                   ///< Container starts at once.
  uint32_t held = 1;                    ///< Generic sandboxes kept ready. 0..16.
  uint32_t max_containers = 64;         ///< On the whole node.
  uint64_t container_memory_bytes = 0;  ///< Of all containers; 0 means half of the machine's.

  // [network]
  /// Where manifests may let functions connect to, as NetworkPattern; empty: nowhere.
  std::vector<std::string> allowed_network;

  // [metrics]
  enum class MetricsAccess : uint8_t { kOff, kLoopback, kAll };
  /// Who may read /metrics on the gateway's port; the admin API always serves it.
  MetricsAccess metrics = MetricsAccess::kLoopback;

  /// What the server writes (registry.db, blobs/, aot/): owned by the server's user.
  [[nodiscard]] std::filesystem::path ServerFolder() const { return state_folder / "server"; }
  /// Unpacked root file systems: owned by the launcher.
  [[nodiscard]] std::filesystem::path ImagesFolder() const { return state_folder / "images"; }
  /// The admin API's unix socket.
  [[nodiscard]] std::filesystem::path AdminSocket() const { return ServerFolder() / "admin.sock"; }
};

/// The defaults with `file` (may be empty: none) and the process's environment applied. Key K of
/// section S is the variable HYBRIDSERVE_S_K; HYBRIDSERVE_STATE is short for the state folder. An
/// empty variable counts as unset; lists are separated by colons.
/// Errors name the file and line, or the variable.
Result<NodeConfig> LoadNodeConfig(const std::filesystem::path& file);

/// The same with the text of a file, and an environment given as "NAME=value" words.
Result<NodeConfig> ParseNodeConfig(std::string_view text, std::string_view file,
                                   const std::vector<std::string>& environment);

/// The configuration as JSON, as `serve` hands it to the server, and back. Holds no secret.
std::string NodeConfigToJson(const NodeConfig& config);
Result<NodeConfig> NodeConfigFromJson(std::string_view json);

/// "127.0.0.1:8080", "[::1]:0" (the host comes without brackets). Errors: kInvalidArgument.
struct HostPort {
  std::string host;
  uint16_t port = 0;
};
Result<HostPort> ParseHostPort(std::string_view text);

/// The default state folder for this user: $HYBRIDSERVE_STATE, else /var/lib/hybridserve for root,
/// else $XDG_STATE_HOME/hybridserve (~/.local/state/hybridserve). Absolute.
std::filesystem::path DefaultStateFolder();

}  // namespace hybridserve
