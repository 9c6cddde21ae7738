#include "function/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hybridserve {
namespace {

using testing::HasSubstr;
using namespace std::chrono_literals;

constexpr std::string_view kFull = R"(name = "hello"
description = "Says hello"
domain = "team-a"
hosts = ["hello.example.com"]
policy = "wasm-only"

[wasm]
module = "hello.wasm"
build = "make hello.wasm"
aot = "first-run"

[container]
image = "hello.tar"
build = "make image"
binary = "hello"
base = "debian"
stdio = true
command = ["/function", "--serve"]
writable_root = true

[limits]
memory = "256MiB"
body = 1024
response = "64KiB"
concurrency = 8
queue = 0
pids = 16
cpu = 0.5
disk = "1GiB"
queue_timeout = "500ms"
start_timeout = "3s"
run_timeout = "5m"

[scale]
min_warm = 1
max_containers = 3
slots = 2
keep_alive = "2h"

[environment]
GREETING = "hi"

[secrets]
TOKEN = "/etc/hello/token"

[[folders]]
host = "/srv/data"
guest = "/data"
writable = true
)";

Manifest Full() {
  Manifest manifest;
  manifest.name.value = "hello";
  manifest.description = "Says hello";
  manifest.domain = "team-a";
  manifest.hosts = {"hello.example.com"};
  manifest.policy = PolicyKind::kWasmOnly;
  manifest.wasm = WasmBuild{"hello.wasm", "make hello.wasm", AotTime::kFirstRun};
  manifest.container = ContainerBuild{"hello.tar", "make image", "hello", "debian", true,
                                      {"/function", "--serve"}, true};
  manifest.limits = {256u << 20, 1024, 64u << 10, 8, 0, 16, 0.5, 1u << 30, 500ms, 3s, 5min};
  manifest.scale = {1, 3, 2, 2h};
  manifest.environment = {{"GREETING", "hi"}};
  manifest.secrets = {{"TOKEN", "/etc/hello/token"}};
  manifest.folders = {{"/srv/data", "/data", true}};
  return manifest;
}

TEST(Manifest, EveryKeyIsRead) {
  const Result<Manifest> manifest = ParseManifest(kFull, "hello/function.toml");
  ASSERT_TRUE(manifest) << manifest.error().message;
  EXPECT_EQ(*manifest, Full());
}

TEST(Manifest, SurvivesTheWayThroughJson) {
  const std::string json = ManifestToJson(Full());
  const Result<Manifest> manifest = ManifestFromJson(json);
  ASSERT_TRUE(manifest) << manifest.error().message << json;
  EXPECT_EQ(*manifest, Full());
  EXPECT_EQ(ManifestToJson(*manifest), json);
}

}  // namespace
}  // namespace hybridserve
