#include "config/node_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "function/settings.h"

namespace hybridserve {
namespace {

using testing::HasSubstr;
using namespace std::chrono_literals;

Result<NodeConfig> Parse(std::string_view text, std::vector<std::string> environment = {}) {
  return ParseNodeConfig(text, "node.toml", environment);
}

TEST(NodeConfig, NothingSaidGivesTheDefaults) {
  const Result<NodeConfig> config = Parse("");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->listen, "127.0.0.1:8080");
  EXPECT_EQ(config->policy, PolicyKind::kPaper);
  EXPECT_FALSE(config->allow_route_header);
  EXPECT_TRUE(config->state_folder.is_absolute());
  EXPECT_EQ(config->metrics, NodeConfig::MetricsAccess::kLoopback);
}

TEST(NodeConfig, EveryKeyIsReadAndSurvivesTheWayThroughJson) {
  const Result<NodeConfig> config = Parse(R"(
[node]
state_folder = "/srv/hybridserve/"
user = "edge"
log_level = "debug"
[gateway]
listen = "[::1]:0"
max_connections = 5
max_header = "8KiB"
header_timeout = "1s"
idle_timeout = "2s"
body_timeout = "3s"
drain_timeout = "4s"
[admin]
listen = "127.0.0.1:9000"
token_file = "/etc/hybridserve/token"
tls_certificate = "/etc/hybridserve/admin.pem"
tls_key = "/etc/hybridserve/admin.key"
max_blob = "1GiB"
[policy]
default = "wasm-only"
allow_route_header = true
[wasm]
engine = "wasmer"
compiler = "singlepass"
threads = 4
memory = "2GiB"
allowed_folders = ["/srv/data", "/opt"]
[container]
runtime = "docker"
runtime_address = "/run/other.sock"
boots = 2
held = 3
max_containers = 7
memory = "3GiB"
[network]
allowed = ["*", "127.0.0.1:8000"]
[metrics]
access = "all"
)");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->state_folder, "/srv/hybridserve");
  EXPECT_EQ(config->user, "edge");
  EXPECT_EQ(config->log_level, "debug");
  EXPECT_EQ(config->listen, "[::1]:0");
  EXPECT_EQ(config->max_connections, 5u);
  EXPECT_EQ(config->header_bytes, 8u << 10);
  EXPECT_EQ(config->header_timeout, 1s);
  EXPECT_EQ(config->idle_timeout, 2s);
  EXPECT_EQ(config->body_timeout, 3s);
  EXPECT_EQ(config->drain_timeout, 4s);
  EXPECT_EQ(config->admin_listen, "127.0.0.1:9000");
  EXPECT_EQ(config->admin_token_file, "/etc/hybridserve/token");
  EXPECT_EQ(config->admin_tls_certificate, "/etc/hybridserve/admin.pem");
  EXPECT_EQ(config->admin_tls_key, "/etc/hybridserve/admin.key");
  EXPECT_EQ(config->max_blob_bytes, 1u << 30);
  EXPECT_EQ(config->policy, PolicyKind::kWasmOnly);
  EXPECT_TRUE(config->allow_route_header);
  EXPECT_EQ(config->engine, (EngineChoice{"wasmer", "singlepass"}));
  EXPECT_EQ(config->wasm_threads, 4u);
  EXPECT_EQ(config->wasm_memory_bytes, uint64_t{2} << 30);
  EXPECT_EQ(config->allowed_folders, (std::vector<std::string>{"/srv/data", "/opt"}));
  EXPECT_EQ(config->allowed_network, (std::vector<std::string>{"*", "127.0.0.1:8000"}));
  EXPECT_EQ(config->containers, ContainerRuntimeKind::kDocker);
  EXPECT_EQ(config->runtime_address, "/run/other.sock");
  EXPECT_EQ(config->boots, 2u);
  EXPECT_EQ(config->held, 3u);
  EXPECT_EQ(config->max_containers, 7u);
  EXPECT_EQ(config->container_memory_bytes, uint64_t{3} << 30);
  EXPECT_EQ(config->metrics, NodeConfig::MetricsAccess::kAll);

  const std::string json = NodeConfigToJson(*config);
  const Result<NodeConfig> again = NodeConfigFromJson(json);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(NodeConfigToJson(*again), json);
}

TEST(NodeConfig, VariablesOverrideTheFile) {
  const Result<NodeConfig> config =
      Parse("[gateway]\nlisten = \"127.0.0.1:1\"\nmax_connections = 3\n",
            {"HYBRIDSERVE_GATEWAY_LISTEN=0.0.0.0:2", "HYBRIDSERVE_WASM_THREADS=9",
             "HYBRIDSERVE_CONTAINER_RUNTIME=off", "HYBRIDSERVE_WASM_ALLOWED_FOLDERS=/a:/b/c",
             "HYBRIDSERVE_WASM_MEMORY=1GiB",
             "HYBRIDSERVE_GATEWAY_MAX_CONNECTIONS=", "HYBRIDSERVE_UNRELATED=1", "PATH=/bin"});
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->listen, "0.0.0.0:2");
  EXPECT_EQ(config->max_connections, 3u) << "an empty variable counts as unset";
  EXPECT_EQ(config->wasm_threads, 9u);
  EXPECT_EQ(config->containers, ContainerRuntimeKind::kOff);
  EXPECT_EQ(config->wasm_memory_bytes, 1u << 30);
  EXPECT_EQ(config->allowed_folders, (std::vector<std::string>{"/a", "/b/c"}));
}

TEST(NodeConfig, TheShortNameOfTheStateFolderYieldsToTheLongOne) {
  const Result<NodeConfig> alone =
      Parse("[node]\nstate_folder = \"/file\"\n", {"HYBRIDSERVE_STATE=/short"});
  ASSERT_TRUE(alone) << alone.error().message;
  EXPECT_EQ(alone->state_folder, "/short");
  const Result<NodeConfig> both =
      Parse("", {"HYBRIDSERVE_NODE_STATE_FOLDER=/long", "HYBRIDSERVE_STATE=/short"});
  ASSERT_TRUE(both) << both.error().message;
  EXPECT_EQ(both->state_folder, "/long");
}

struct BadCase {
  std::string name;
  std::string text;
  std::vector<std::string> environment;
  std::string want;
};

class BadNodeConfig : public testing::TestWithParam<BadCase> {};

TEST_P(BadNodeConfig, IsRefusedWithItsPlace) {
  const Result<NodeConfig> config = Parse(GetParam().text, GetParam().environment);
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().code, Code::kInvalidArgument);
  EXPECT_THAT(config.error().message, HasSubstr(GetParam().want));
}

INSTANTIATE_TEST_SUITE_P(
    NodeConfig, BadNodeConfig,
    testing::Values(
        BadCase{"UnknownKey",
                "[gateway]\nlisen = \"a:1\"\n",
                {},
                "node.toml:2: unknown key 'lisen' in [gateway]; did you mean 'listen'?"},
        BadCase{"UnknownSection",
                "\n[gatway]\n",
                {},
                "node.toml:2: unknown key 'gatway'; did you mean 'gateway'?"},
        BadCase{"BadAddress",
                "[gateway]\nlisten = \"8080\"\n",
                {},
                "node.toml:2: gateway.listen: '8080' is not an address"},
        BadCase{"TcpAdminWithoutToken",
                "[admin]\nlisten = \"0.0.0.0:1\"\n",
                {},
                "node.toml:2: admin.listen is set and admin.token_file is not"},
        BadCase{"TcpAdminWithoutTls",
                "[admin]\nlisten = \"0.0.0.0:1\"\ntoken_file = \"/t\"\n",
                {},
                "name a certificate and its key in admin.tls_certificate and admin.tls_key"},
        BadCase{"CertificateWithoutKey",
                "[gateway]\ntls_certificate = \"/c\"\n",
                {},
                "node.toml:2: gateway.tls_certificate is set and gateway.tls_key is not"},
        BadCase{"TooManyThreads",
                "[wasm]\nthreads = 257\n",
                {},
                "node.toml:2: wasm.threads is 257; it must be from 1 to 256"},
        BadCase{"RelativeAllowedFolder",
                "[wasm]\nallowed_folders = [\n\"/a\",\n\"b\"]\n",
                {},
                "node.toml:4: wasm.allowed_folders: 'b' is not an absolute path"},
        BadCase{"AllowedFolderWithDots",
                "[wasm]\nallowed_folders = [\"/a/../b\"]\n",
                {},
                "'/a/../b' is not an absolute path in its plainest form"},
        BadCase{"BadLevel", "[node]\nlog_level = \"loud\"\n", {}, "'loud' is not a level"},
        BadCase{"BadVariable",
                "",
                {"HYBRIDSERVE_WASM_THREADS=many"},
                "HYBRIDSERVE_WASM_THREADS: wasm.threads is 'many'; write a whole number"},
        BadCase{"BadBooleanVariable",
                "",
                {"HYBRIDSERVE_POLICY_ALLOW_ROUTE_HEADER=yes"},
                "HYBRIDSERVE_POLICY_ALLOW_ROUTE_HEADER: policy.allow_route_header is 'yes'; write "
                "true or false"},
        BadCase{"MisspeltVariable",
                "",
                {"HYBRIDSERVE_GATEWAY_LISTN=a:1"},
                "unknown variable HYBRIDSERVE_GATEWAY_LISTN in the environment; did you mean "
                "HYBRIDSERVE_GATEWAY_LISTEN?"},
        BadCase{"BadToml", "[node]\nuser = edge\n", {}, "node.toml:2: "}),
    [](const auto& row) { return row.param.name; });

TEST(NodeConfig, AMissingFileIsNamed) {
  const Result<NodeConfig> config = LoadNodeConfig("/nonexistent/node.toml");
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().code, Code::kNotFound);
  EXPECT_THAT(config.error().message, HasSubstr("/nonexistent/node.toml"));
}

TEST(NodeConfig, TheDocumentationNamesEveryKey) {
  const Result<std::string> page = ReadFile(HS_SOURCE_FOLDER "/docs/configuration.md");
  ASSERT_TRUE(page) << page.error().message;
  const Result<SettingsNode> keys = ParseJsonSettings(NodeConfigToJson(NodeConfig{}), "defaults");
  ASSERT_TRUE(keys);
  for (size_t i = 0; i < keys->keys.size(); ++i) {
    EXPECT_THAT(*page, HasSubstr("`[" + keys->keys[i] + "]`"));
    for (const std::string& key : keys->items[i].keys) {
      EXPECT_THAT(*page, HasSubstr("| `" + key + "` |"));
    }
  }
}

struct AddressCase {
  std::string name;
  std::string text;
  std::string host;  // Empty: refused.
  uint16_t port = 0;
};

class Address : public testing::TestWithParam<AddressCase> {};

TEST_P(Address, IsSplitIntoHostAndPort) {
  const Result<HostPort> parsed = ParseHostPort(GetParam().text);
  ASSERT_EQ(parsed.has_value(), !GetParam().host.empty());
  if (!parsed) return;
  EXPECT_EQ(parsed->host, GetParam().host);
  EXPECT_EQ(parsed->port, GetParam().port);
}

INSTANTIATE_TEST_SUITE_P(NodeConfig, Address,
                         testing::Values(AddressCase{"IPv4", "127.0.0.1:8080", "127.0.0.1", 8080},
                                         AddressCase{"IPv6", "[::1]:0", "::1", 0},
                                         AddressCase{"Name", "localhost:65535", "localhost", 65535},
                                         AddressCase{"NoPort", "127.0.0.1", ""},
                                         AddressCase{"EmptyPort", "127.0.0.1:", ""},
                                         AddressCase{"NoHost", ":80", ""},
                                         AddressCase{"PortTooLarge", "a:65536", ""},
                                         AddressCase{"NegativePort", "a:-1", ""},
                                         AddressCase{"BareIPv6", "::1:80", ""},
                                         AddressCase{"Space", "a b:80", ""}),
                         [](const auto& row) { return row.param.name; });

}  // namespace
}  // namespace hybridserve
