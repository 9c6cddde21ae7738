#include "function/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "function/settings.h"
#include "function/units.h"

namespace hybridserve {
namespace {

using testing::HasSubstr;
using namespace std::chrono_literals;

constexpr std::string_view kFull = R"(name = "hello"
description = "Says hello"
domain = "team-a"
hosts = ["hello.example.com"]
policy = "wasm-only"
idempotent = true

[wasm]
module = "hello.wasm"
build = "make hello.wasm"
aot = "first-run"
engine = "wasmtime"
compiler = "winch"

[container]
image = "hello.tar"
build = "make image"
binary = "hello"
base = "debian"
variants = ["scratch"]
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
freeze_after = "3s"

[environment]
GREETING = "hi"

[secrets]
TOKEN = "/etc/hello/token"

[access]
keys = "/etc/hello/keys"
[network]
allow = ["api.example.com", "*.example.org:*"]
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
  manifest.idempotent = true;
  manifest.wasm =
      WasmBuild{"hello.wasm", "make hello.wasm", AotTime::kFirstRun, {"wasmtime", "winch"}};
  manifest.container = ContainerBuild{
      "hello.tar", "make image", "hello", "debian", {"scratch"}, true, {"/function", "--serve"},
      true};
  manifest.limits = {256u << 20, 1024, 64u << 10, 8, 0, 16, 0.5, 1u << 30, 500ms, 3s, 5min};
  manifest.scale = {1, 3, 2, 2h, 3s};
  manifest.environment = {{"GREETING", "hi"}};
  manifest.secrets = {{"TOKEN", "/etc/hello/token"}};
  manifest.access_keys = "/etc/hello/keys";
  manifest.network = {"api.example.com", "*.example.org:*"};
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

TEST(Manifest, LeavesOutGetDefaults) {
  const Result<Manifest> manifest =
      ParseManifest("name = \"a\"\n[wasm]\nmodule = \"a.wasm\"\n", "function.toml");
  ASSERT_TRUE(manifest) << manifest.error().message;
  EXPECT_EQ(manifest->limits, Limits{});
  EXPECT_EQ(manifest->scale, Scale{});
  EXPECT_EQ(manifest->domain, "default");
  EXPECT_FALSE(manifest->policy);
  EXPECT_FALSE(manifest->idempotent);
  EXPECT_FALSE(manifest->container);
  EXPECT_EQ(manifest->wasm->aot, AotTime::kDeploy);
}

struct BadCase {
  std::string name;
  std::string text;
  std::string want;
};

class BadManifest : public testing::TestWithParam<BadCase> {};

TEST_P(BadManifest, IsRefusedWithFileAndLine) {
  const Result<Manifest> manifest = ParseManifest(GetParam().text, "hello/function.toml");
  ASSERT_FALSE(manifest);
  EXPECT_EQ(manifest.error().code, Code::kInvalidArgument);
  EXPECT_THAT(manifest.error().message, HasSubstr(GetParam().want));
}

// A manifest that is good but for `rest`, which starts on line 4.
std::string With(const std::string& rest) {
  return "name = \"a\"\n[wasm]\nmodule = \"a.wasm\"\n" + rest;
}

INSTANTIATE_TEST_SUITE_P(
    Keys, BadManifest,
    testing::Values(
        BadCase{"MisspeltKey", With("[limits]\nmemroy = \"1MiB\"\n"),
                "hello/function.toml:5: unknown key 'memroy' in [limits]; did you mean 'memory'?"},
        BadCase{"StrangeKey", With("[scale]\nzzzzzzzzzz = 1\n"),
                "hello/function.toml:5: unknown key 'zzzzzzzzzz' in [scale]; known are min_warm, "
                "max_containers, slots, keep_alive, freeze_after"},
        BadCase{"MisspeltSection", With("[limit]\n"),
                "hello/function.toml:4: unknown key 'limit'; did you mean 'limits'?"},
        BadCase{"KeyInAFolder", With("[[folders]]\nhost = \"/a\"\ngest = \"/b\"\n"),
                "hello/function.toml:6: unknown key 'gest' in folders[0]; did you mean 'guest'?"},
        BadCase{"NotToml", With("[limits\n"), "hello/function.toml:4: "},
        BadCase{"TwiceTheSameKey", "name = \"a\"\nname = \"b\"\n", "hello/function.toml:2: "},
        BadCase{"TheFirstOfTwoErrorsIsNamed", With("[limits]\npids = 0\nbody = -1\n"),
                "hello/function.toml:5: limits.pids is 0"}),
    [](const auto& row) { return row.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Values, BadManifest,
    testing::Values(
        BadCase{"BooleanForASize", With("[limits]\nmemory = true\n"),
                "hello/function.toml:5: limits.memory is true; write a size such as \"128MiB\""},
        BadCase{"NegativeSize", With("[limits]\nmemory = -1\n"), "limits.memory is -1; write"},
        BadCase{"WrongUnitOfASize", With("[limits]\nmemory = \"128MB\"\n"),
                "hello/function.toml:5: limits.memory: '128MB' is not a size"},
        BadCase{"MemoryTooSmall", With("[limits]\nmemory = \"512KiB\"\n"),
                "limits.memory is 512KiB; it must be from 1MiB to 64GiB"},
        BadCase{"MemoryTooLarge", With("[limits]\nmemory = \"65GiB\"\n"),
                "limits.memory is 65GiB; it must be from 1MiB to 64GiB"},
        BadCase{"SizePastSixtyFourBits", With("[limits]\nmemory = \"99999999999TiB\"\n"),
                "is too large for a size"},
        BadCase{"DurationWithoutUnit", With("[limits]\nrun_timeout = 30\n"),
                "hello/function.toml:5: limits.run_timeout is 30; write a duration in quotes with "
                "its unit"},
        BadCase{"DurationWithStrangeUnit", With("[limits]\nrun_timeout = \"30sec\"\n"),
                "'30sec' is not a duration"},
        BadCase{"RunTimeoutOfZero", With("[limits]\nrun_timeout = \"0s\"\n"),
                "limits.run_timeout is 0ms; it must be from 1ms to 24h"},
        BadCase{"TextForACount", With("[limits]\nconcurrency = \"8\"\n"),
                "limits.concurrency is '8'; write a whole number, without quotes"},
        BadCase{"FractionForACount", With("[limits]\nconcurrency = 1.5\n"),
                "limits.concurrency is 1.5; write a whole number"},
        BadCase{"CountTooLarge", With("[limits]\nconcurrency = 1025\n"),
                "limits.concurrency is 1025; it must be from 1 to 1024"},
        BadCase{"CpuOfNearlyNothing", With("[limits]\ncpu = 0.001\n"), "less than 0.01"},
        BadCase{"CpuNotANumber", With("[limits]\ncpu = nan\n"), "limits.cpu is nan"},
        BadCase{"NumberForAText", With("[wasm.more]\n"), "hello/function.toml:4: "},
        BadCase{"NumberForAName", "name = 7\n[wasm]\nmodule = \"a\"\n",
                "hello/function.toml:1: name is 7; write a string, in quotes"},
        BadCase{"SectionThatIsAValue", "name = \"a\"\nwasm = \"a.wasm\"\n",
                "hello/function.toml:2: wasm is 'a.wasm'; write a table: [wasm]"},
        BadCase{"UnknownPolicy", "name = \"a\"\npolicy = \"wasm\"\n[wasm]\nmodule = \"a\"\n",
                "hello/function.toml:2: policy is 'wasm'; write one of: paper, wasm-only, "
                "container-only"},
        BadCase{"MisspeltAot", With("aot = \"deplyo\"\n"), "did you mean \"deploy\"?"},
        BadCase{"UnknownEngine", With("engine = \"v8\"\n"),
                "there is no engine 'v8'; there are wasmtime, wasmer and wasmedge"},
        BadCase{"CompilerOfAnotherEngine", With("engine = \"wasmer\"\ncompiler = \"winch\"\n"),
                "wasmer has no compiler 'winch'"},
        BadCase{"CompilerWithoutEngine", With("compiler = \"llvm\"\n"), "write engine, too"},
        BadCase{"HostWithPort", "name = \"a\"\nhosts = [\"a.b:80\"]\n[wasm]\nmodule = \"a\"\n",
                "hello/function.toml:2: hosts: the host name 'a.b:80' may have"},
        BadCase{"EmptyHostPart", "name = \"a\"\nhosts = [\"a..b\"]\n[wasm]\nmodule = \"a\"\n",
                "'a..b' has a part of no or more than 63 bytes"},
        BadCase{"HostsNotAList", "name = \"a\"\nhosts = \"a.b\"\n[wasm]\nmodule = \"a\"\n",
                "hosts is 'a.b'; write a list of strings"},
        BadCase{"NumberInTheEnvironment", With("[environment]\nA = 1\n"),
                "hello/function.toml:5: environment.'A' is 1; write a string"},
        BadCase{"BadVariableName", With("[environment]\n1A = \"x\"\n"),
                "the variable name '1A' is not made of letters"},
        BadCase{"VariablePort", With("[environment]\nPORT = \"80\"\n"),
                "the variable PORT is the node's own"},
        BadCase{"ZeroByteInAValue", With("[environment]\nA = \"a\\u0000b\"\n"),
                "environment: the text holds a zero byte"},
        BadCase{"RelativeSecret", With("[secrets]\nT = \"token\"\n"),
                "hello/function.toml:5: secrets: 'token' is not an absolute path"},
        BadCase{
            "NetworkHostWithAScheme", With("[network]\nallow = [\n\"a.b\",\n\"http://a.b\"]\n"),
            "hello/function.toml:7: network.allow: 'http://a.b' is a URL; write HOST or HOST:PORT"},
        BadCase{"NetworkOfEveryHost", With("[network]\nallow = [\"*\"]\n"), "name the hosts"},
        BadCase{"FolderWithDots", With("[[folders]]\nhost = \"/a/../b\"\nguest = \"/b\"\n"),
                "hello/function.toml:5: folders[0].host: the path '/a/../b' has '..'"}),
    [](const auto& row) { return row.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Wholes, BadManifest,
    testing::Values(
        BadCase{"NoName", "[wasm]\nmodule = \"a\"\n", "name is missing"},
        BadCase{"NoBuild", "name = \"a\"\n",
                "a function needs a [wasm] section, a [container] section, or both"},
        BadCase{"WasmWithoutModule", "name = \"a\"\n[wasm]\naot = \"deploy\"\n",
                "hello/function.toml:2: [wasm] needs module"},
        BadCase{"ContainerWithoutImage", "name = \"a\"\n[container]\nstdio = true\n",
                "hello/function.toml:2: [container] needs image"},
        BadCase{"VariantOfNothing",
                "name = \"a\"\n[container]\nimage = \"a.tar\"\nvariants = [\"debian\"]\n",
                "hello/function.toml:4: container.variants needs container.binary"},
        BadCase{"BaseTwice",
                "name = \"a\"\n[container]\nbinary = \"a\"\nvariants = [\"scratch\"]\n",
                "hello/function.toml:4: container.variants names a base twice"},
        BadCase{"StrangeVariant",
                "name = \"a\"\n[container]\nbinary = \"a\"\nvariants = [\"alpine\"]\n",
                "hello/function.toml:4: container.variants: the base 'alpine' is neither"},
        BadCase{"PolicyWithoutItsBuild",
                "name = \"a\"\npolicy = \"container-only\"\n[wasm]\nmodule = \"a\"\n",
                "hello/function.toml:2: the policy is container-only, and there is no [container]"},
        BadCase{"MoreWarmThanAllowed", With("[scale]\nmin_warm = 2\nmax_containers = 1\n"),
                "hello/function.toml:5: scale.min_warm is 2, more than scale.max_containers, 1"},
        BadCase{"SecretAndEnvironment", With("[environment]\nA = \"x\"\n[secrets]\nA = \"/a\"\n"),
                "the variable A is in [environment] and in [secrets]"},
        BadCase{"TwoFoldersInOnePlace",
                With("[[folders]]\nhost = \"/a\"\nguest = \"/x\"\n[[folders]]\nhost = \"/b\"\n"
                     "guest = \"/x\"\n"),
                "two [[folders]] have the guest path '/x'"}),
    [](const auto& row) { return row.param.name; });

TEST(Manifest, JsonIsCheckedAsTomlIs) {
  const auto message = [](std::string_view json) {
    const Result<Manifest> manifest = ManifestFromJson(json);
    return manifest ? std::string("accepted") : manifest.error().message;
  };
  EXPECT_EQ(message("{"), "manifest is not JSON (byte 2)");
  EXPECT_EQ(message("[]"), "manifest is not a JSON object");
  EXPECT_EQ(message(R"({"name":"a","wasm":{"module":"a"},"limits":{"memroy":1}})"),
            "manifest: unknown key 'memroy' in [limits]; did you mean 'memory'?");
  EXPECT_THAT(message(R"({"name":"a/b","wasm":{"module":"a"}})"), HasSubstr("has a slash"));
  EXPECT_THAT(
      message(R"({"name":"a","wasm":{"module":"a"},"limits":{"memory":18446744073709551615}})"),
      HasSubstr("manifest: limits.memory is"));
  EXPECT_EQ(message(R"({"name":"a","wasm":{"module":"a"},"limits":{"memory":1048576}})"),
            "accepted");
  EXPECT_THAT(message(R"({"name":"a","wasm":{"module":"a"},"limits":{"memory":1e999}})"),
              HasSubstr("manifest holds a number that is too large"));
  EXPECT_THAT(message(std::string(100000, '[')), HasSubstr("is not JSON"));
  EXPECT_THAT(message(R"({"name":)" + std::string(50000, '[') + std::string(50000, ']') + "}"),
              HasSubstr("manifest: name is a list"));
}

TEST(Manifest, DeepNestingInTomlIsRefused) {
  std::string dots = "a";
  for (int i = 0; i < 20000; ++i) dots += ".a";
  EXPECT_FALSE(ParseManifest(dots + " = 1\n", "f"));
  EXPECT_FALSE(ParseManifest("[" + dots + "]\n", "f"));
  EXPECT_FALSE(ParseManifest("a = " + std::string(30000, '[') + "\n", "f"));
}

TEST(Manifest, AMissingFileSaysWhereItWasLookedFor) {
  const TemporaryFolder folder;
  const Result<Manifest> manifest = ReadManifest(folder.path());
  ASSERT_FALSE(manifest);
  EXPECT_EQ(manifest.error().code, Code::kNotFound);
  EXPECT_THAT(manifest.error().message, HasSubstr((folder.path() / "function.toml").string()));
}

TEST(Manifest, IsReadFromItsFolderOrByItsPath) {
  const TemporaryFolder folder;
  ASSERT_TRUE(WriteFileAtomically(folder.path() / "function.toml", kFull));
  EXPECT_TRUE(ReadManifest(folder.path()));
  EXPECT_TRUE(ReadManifest(folder.path() / "function.toml"));
}

TEST(Manifest, TheDocumentationNamesEveryKey) {
  const Result<std::string> page = ReadFile(HS_SOURCE_FOLDER "/docs/manifest.md");
  ASSERT_TRUE(page) << page.error().message;
  const Result<SettingsNode> keys = ParseJsonSettings(ManifestToJson(Full()), "full");
  ASSERT_TRUE(keys);
  for (size_t i = 0; i < keys->keys.size(); ++i) {
    const SettingsNode& node = keys->items[i];
    if (node.kind == SettingsNode::Kind::kList && keys->keys[i] == "folders") {
      EXPECT_THAT(*page, HasSubstr("`[[folders]]`"));
      for (const std::string& key : node.items[0].keys) EXPECT_THAT(*page, HasSubstr("| `" + key));
    } else if (node.kind == SettingsNode::Kind::kTable) {
      EXPECT_THAT(*page, HasSubstr("`[" + keys->keys[i] + "]`"));
      if (keys->keys[i] == "environment" || keys->keys[i] == "secrets") continue;
      for (const std::string& key : node.keys) EXPECT_THAT(*page, HasSubstr("| `" + key + "` |"));
    } else {
      EXPECT_THAT(*page, HasSubstr("| `" + keys->keys[i] + "` |"));
    }
  }
}

TEST(Manifest, TheExampleOfTheDocumentationIsGood) {
  const Result<std::string> page = ReadFile(HS_SOURCE_FOLDER "/docs/manifest.md");
  ASSERT_TRUE(page) << page.error().message;
  const size_t start = page->find("```toml\n") + 8;
  const std::string example = page->substr(start, page->find("```", start) - start);
  const Result<Manifest> manifest = ParseManifest(example, "docs/manifest.md");
  EXPECT_TRUE(manifest) << manifest.error().message;
}

struct NameCase {
  std::string name;
  std::string function;
  std::string want;  // Part of the error; empty: good.
};

class FunctionNames : public testing::TestWithParam<NameCase> {};

TEST_P(FunctionNames, AreChecked) {
  const Result<> checked = CheckFunctionName(GetParam().function);
  ASSERT_EQ(checked.has_value(), GetParam().want.empty());
  if (checked) return;
  EXPECT_EQ(checked.error().code, Code::kInvalidArgument);
  EXPECT_THAT(checked.error().message, HasSubstr(GetParam().want));
  EXPECT_LT(checked.error().message.size(), 300u);
}

INSTANTIATE_TEST_SUITE_P(
    Manifest, FunctionNames,
    testing::Values(NameCase{"Short", "a", ""}, NameCase{"Digits", "0", ""},
                    NameCase{"AllKinds", "image_processing-2", ""},
                    NameCase{"Longest", std::string(63, 'a'), ""},
                    NameCase{"TooLong", std::string(64, 'a'), "has 64 bytes"},
                    NameCase{"ThreeHundredBytes", std::string(300, 'a'), "has 300 bytes"},
                    NameCase{"Empty", "", "is empty"}, NameCase{"Slash", "a/b", "has a slash"},
                    NameCase{"UpperCase", "Hello", "has an upper-case letter"},
                    NameCase{"LeadingDash", "-a", "starts with '-'"},
                    NameCase{"Dot", "..", "has a byte that is not allowed ('.')"},
                    NameCase{"ControlByte", "a\n", "('\\x0a')"},
                    NameCase{"NotAscii", "\xc3\xa4", "has a byte that is not allowed"}),
    [](const auto& row) { return row.param.name; });

TEST(Units, SizesAndDurationsComeBackAsTheyWereWritten) {
  for (const std::string text : {"1B", "1000B", "1KiB", "128MiB", "1023MiB", "1GiB", "4TiB"}) {
    EXPECT_EQ(FormatSize(ParseSize(text).value()), text);
  }
  EXPECT_EQ(ParseSize("65536").value(), 65536u);
  EXPECT_EQ(FormatSize(0), "0B");
  for (const std::string text : {"1ms", "1500ms", "90s", "5m", "2h"}) {
    EXPECT_EQ(FormatDuration(ParseDuration(text).value()), text);
  }
  for (const std::string text :
       {"", "MiB", "1.5GiB", "1 GiB", "-1", "0x10", "9223372036854775808"}) {
    EXPECT_FALSE(ParseSize(text)) << text;
  }
  for (const std::string text : {"", "s", "30", "1.5s", "-1s", "9223372036854775807h"}) {
    EXPECT_FALSE(ParseDuration(text)) << text;
  }
}

TEST(Units, QuotedTextIsCutAtACharacterAndEscaped) {
  EXPECT_EQ(Quote("a\x1b[0m"), "'a\\x1b[0m'");
  EXPECT_EQ(Quote(std::string(100, 'x')), "'" + std::string(80, 'x') + "...'");
  EXPECT_EQ(Quote("abc\xc3\xa4", 4), "'abc...'");
  EXPECT_EQ(Quote("abc\xc3\xa4 and more", 5), "'abc\xc3\xa4...'");
}

}  // namespace
}  // namespace hybridserve
