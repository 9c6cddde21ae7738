#include "config/node_config_visit.h"

#include <utility>

#include "function/manifest_visit.h"
#include "function/network_pattern.h"
#include "function/units.h"

namespace hybridserve {

namespace {

using std::chrono::milliseconds;
using namespace std::chrono_literals;

constexpr uint64_t kKiB = 1ull << 10;
constexpr uint64_t kMiB = 1ull << 20;
constexpr uint64_t kTiB = 1ull << 40;

constexpr std::pair<std::string_view, PolicyKind> kPolicies[] = {
    {"paper", PolicyKind::kPaper},
    {"wasm-only", PolicyKind::kWasmOnly},
    {"container-only", PolicyKind::kContainerOnly}};
constexpr std::pair<std::string_view, NodeConfig::MetricsAccess> kMetricsAccess[] = {
    {"off", NodeConfig::MetricsAccess::kOff},
    {"loopback", NodeConfig::MetricsAccess::kLoopback},
    {"all", NodeConfig::MetricsAccess::kAll}};
constexpr std::string_view kLogLevels[] = {"trace", "debug", "info", "warn", "error", "off"};

Result<> CheckUser(std::string_view text) {
  bool good = !text.empty() && text.size() <= 32 && text.front() != '-';
  for (const char c : text) {
    good = good && ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '_' || c == '-');
  }
  if (good) return {};
  return Fail(Code::kInvalidArgument, Quote(text) + " is not the name of a user");
}

Result<> CheckLogLevel(std::string_view text) {
  for (const std::string_view level : kLogLevels) {
    if (text == level) return {};
  }
  return Fail(Code::kInvalidArgument,
              Quote(text) + " is not a level; use trace, debug, info, warn, error or off");
}

Result<> CheckListen(std::string_view text) {
  TRY(ParseHostPort(text));
  return {};
}

Result<> CheckListenOrNone(std::string_view text) {
  return text.empty() ? Result<>() : CheckListen(text);
}

Result<> CheckPath(std::string_view text) {
  if (text.empty()) return Fail(Code::kInvalidArgument, "the path is empty");
  if (text.find('\0') != std::string_view::npos) {
    return Fail(Code::kInvalidArgument, "the path holds a zero byte");
  }
  return {};
}

Result<> CheckPathOrNone(std::string_view text) {
  return text.empty() ? Result<>() : CheckPath(text);
}

Result<> CheckFolder(std::string_view text) {
  TRY(CheckPath(text));
  const std::filesystem::path path(text);
  if (path.is_absolute() && path.lexically_normal() == path) return {};
  return Fail(Code::kInvalidArgument, Quote(text) +
                                          " is not an absolute path in its plainest form (without "
                                          "'..', '//' or a slash at its end)");
}

// The two files of a TLS listener, of which there is none or both.
void VisitTls(SettingsVisitor& v, std::string_view section, std::string& certificate,
              std::string& key) {
  v.Text("tls_certificate", certificate, CheckPathOrNone);
  v.Text("tls_key", key, CheckPathOrNone);
  if (certificate.empty() == key.empty()) return;
  const std::string set = certificate.empty() ? "tls_key" : "tls_certificate";
  const std::string lacks = certificate.empty() ? "tls_certificate" : "tls_key";
  v.Complain(set, std::string(section) + "." + set + " is set and " + std::string(section) + "." +
                      lacks + " is not; TLS needs both files");
}

void VisitGateway(SettingsVisitor& v, NodeConfig& config) {
  v.Text("listen", config.listen, CheckListen);
  v.Count("max_connections", config.max_connections, 1, 1000000);
  uint64_t header_bytes = config.header_bytes;
  v.Size("max_header", header_bytes, kKiB, kMiB);
  config.header_bytes = static_cast<uint32_t>(header_bytes);
  v.Duration("header_timeout", config.header_timeout, 100ms, 10min);
  v.Duration("idle_timeout", config.idle_timeout, 100ms, 24h);
  v.Duration("body_timeout", config.body_timeout, 100ms, 1h);
  v.Size("min_rate", config.min_rate_bytes, 0, kTiB);
  v.Duration("drain_timeout", config.drain_timeout, 0ms, 1h);
  VisitTls(v, "gateway", config.tls_certificate, config.tls_key);
}

void VisitAdmin(SettingsVisitor& v, NodeConfig& config) {
  v.Text("listen", config.admin_listen, CheckListenOrNone);
  v.Text("token_file", config.admin_token_file, CheckPathOrNone);
  v.Size("max_blob", config.max_blob_bytes, kMiB, kTiB);
  if (!config.admin_listen.empty() && config.admin_token_file.empty()) {
    v.Complain("listen",
               "admin.listen is set and admin.token_file is not; the admin API is only "
               "served over TCP with a token: `hybridserve token FILE` makes one; name FILE in "
               "admin.token_file");
  }
  VisitTls(v, "admin", config.admin_tls_certificate, config.admin_tls_key);
  if (!config.admin_listen.empty() && config.admin_tls_certificate.empty() &&
      config.admin_tls_key.empty()) {
    v.Complain("listen",
               "admin.listen is set and admin.tls_certificate is not; the admin API is only "
               "served over TCP with TLS: name a certificate and its key in admin.tls_certificate "
               "and admin.tls_key, or reach the unix socket by ssh");
  }
}

Result<> CheckAbsoluteOrNone(std::string_view text) {
  return text.empty() ? Result<>() : CheckFolder(text);
}

void VisitContainer(SettingsVisitor& v, NodeConfig& config) {
  v.Choice<ContainerRuntimeKind>("runtime", config.containers, ContainerRuntimeKinds());
  v.Text("runtime_address", config.runtime_address, CheckAbsoluteOrNone);
  v.Count("boots", config.boots, 1, 64);
  v.Count("held", config.held, 0, 16);
  v.Count("max_containers", config.max_containers, 0, 10000);
  v.Size("memory", config.container_memory_bytes, 0, 64 * kTiB);
}

Result<> CheckNetworkPattern(std::string_view text) {
  TRY(ParseNetworkPattern(text, NetworkScope::kNode));
  return {};
}

}  // namespace

void VisitNodeConfig(SettingsVisitor& v, NodeConfig& config) {
  v.Section("node", [&v, &config] {
    std::string state_folder = config.state_folder.string();
    v.Text("state_folder", state_folder, CheckPath);
    config.state_folder = state_folder;
    v.Text("user", config.user, CheckUser);
    v.Text("log_level", config.log_level, CheckLogLevel);
  });
  v.Section("gateway", [&v, &config] { VisitGateway(v, config); });
  v.Section("admin", [&v, &config] { VisitAdmin(v, config); });
  v.Section("policy", [&v, &config] {
    v.Choice<PolicyKind>("default", config.policy, kPolicies);
    v.Flag("allow_route_header", config.allow_route_header);
  });
  v.Section("wasm", [&v, &config] {
    VisitEngineChoice(v, config.engine);
    v.Count("threads", config.wasm_threads, 1, 256);
    v.Size("memory", config.wasm_memory_bytes, 0, 64 * kTiB);
    v.Duration("compile_timeout", config.compile_timeout, 1s, 1h);
    v.TextList("allowed_folders", config.allowed_folders, CheckFolder);
  });
  v.Section("container", [&v, &config] { VisitContainer(v, config); });
  v.Section("network", [&v, &config] {
    v.TextList("allowed", config.allowed_network, CheckNetworkPattern);
  });
  v.Section("metrics", [&v, &config] {
    v.Choice<NodeConfig::MetricsAccess>("access", config.metrics, kMetricsAccess);
  });
}

}  // namespace hybridserve
