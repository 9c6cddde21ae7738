#include "admin/deployer.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "admin/test_parts.h"
#include "base/digest.h"

namespace hybridserve {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class DeployerTest : public DeployerFixture {
 protected:
  Result<DeployOutcome> Rollback(const std::string& name, std::optional<int64_t> to = {}) {
    std::optional<RevisionId> revision;
    if (to) revision = RevisionId{*to};
    return loop_.Await(deployer_->Rollback(FunctionName{name}, revision));
  }
  Result<> Remove(const std::string& name) {
    return loop_.Await(deployer_->Remove(FunctionName{name}));
  }
  std::string WriteSecret(const std::string& value) {
    const std::filesystem::path path = folder_.path() / "secret";
    std::ofstream(path) << value;
    return path;
  }
  DeployRequest WasmRequest(Manifest manifest) {
    DeployRequest request;
    request.module = Upload(MakeModule());
    request.manifest = std::move(manifest);
    return request;
  }
};

TEST_F(DeployerTest, ADeployIsCompiledUnpackedWrittenDownAndServed) {
  Start();
  const DeployOutcome outcome = DeployHybrid(HybridManifest("a"));
  EXPECT_EQ(outcome.revision.value, 1);
  EXPECT_TRUE(outcome.changed);
  EXPECT_THAT(steps_, ElementsAre("compile", "unpack", "commit"));
  EXPECT_EQ(wasm_.prepared(), 1u);
  ASSERT_TRUE(served_.contains("a"));
  const Deployed& function = *served_["a"];
  EXPECT_EQ(function.revision.value, 1);
  EXPECT_EQ(function.module, Sha256(MakeModule()));
  EXPECT_EQ(function.image, Sha256("image "));
  EXPECT_THAT(function.image_config, HasSubstr("entrypoint"));
  EXPECT_TRUE(images_.present().contains(function.image));
  EXPECT_EQ(CurrentRevision("a"), 1);
}

TEST_F(DeployerTest, AModuleForItsFirstRunIsCheckedAndNotCompiled) {
  Start();
  Manifest manifest = WasmManifest("a");
  manifest.wasm->aot = AotTime::kFirstRun;
  DeployWasm(manifest);
  EXPECT_EQ(wasm_.prepared(), 0u);
  EXPECT_THAT(steps_, ElementsAre("commit"));
  DeployRequest broken;
  broken.manifest = manifest;
  broken.module = Upload("#!/bin/sh");
  ExpectRefused(broken, Code::kInvalidArgument, "not a wasm file");
}

TEST_F(DeployerTest, TheSameAgainChangesNothing) {
  Start();
  DeployHybrid(HybridManifest("a"));
  const DeployOutcome again = DeployHybrid(HybridManifest("a"));
  EXPECT_FALSE(again.changed);
  EXPECT_EQ(again.revision.value, 1);
  EXPECT_THAT(served_log_, ElementsAre("a@1"));
  EXPECT_EQ(Describe("a").revisions.size(), 1u);
}

TEST_F(DeployerTest, BadModulesAreRefusedAndChangeNothing) {
  Start();
  DeployWasm(WasmManifest("a"));
  struct Case {
    std::string module;
    std::string words;
  };
  const std::string good = MakeModule();
  const std::vector<Case> cases = {
      {"#!/bin/sh\necho hello\n", "not a wasm file"},
      {good.substr(0, good.size() - 8), "cut off"},
      {good.substr(0, 6), "cut off"},
      {std::string("\0asm\x0d\0\1\0", 8), "component"},
      {std::string("\0asm\1\0\0\0", 8), "_start"},
  };
  for (const Case& row : cases) {
    DeployRequest request = WasmRequest(WasmManifest("a"));
    request.module = Upload(row.module);
    const Code code = row.words == "component" ? Code::kUnsupported : Code::kInvalidArgument;
    ExpectRefused(request, code, row.words);
    EXPECT_THAT(steps_, IsEmpty()) << "refused before any work";
  }
}

TEST_F(DeployerTest, AModuleThatNeedsMoreMemoryThanItsLimitIsRefused) {
  Start();
  DeployRequest request = WasmRequest(WasmManifest("a"));
  request.module = Upload(MakeModule(17));
  request.manifest.limits.memory_bytes = 1u << 20;
  ExpectRefused(request, Code::kInvalidArgument, "over its limit of 1MiB");
  request.manifest.limits.memory_bytes = 2u << 20;
  EXPECT_TRUE(Deploy(request));
}

TEST_F(DeployerTest, WhatTheCompilerRefusesChangesNothing) {
  Start();
  DeployWasm(WasmManifest("a"), "one");
  wasm_.SetPrepareError(Error{Code::kInvalidArgument, "unknown import env.open_door"});
  DeployRequest request = WasmRequest(WasmManifest("a"));
  ExpectRefused(request, Code::kInvalidArgument, "unknown import env.open_door");
  EXPECT_EQ(served_["a"]->revision.value, 1);
}

TEST_F(DeployerTest, AnImageThatCannotBeUnpackedChangesNothing) {
  Start();
  images_.SetError(Error{Code::kInvalidArgument, "the image archive has no manifest.json"});
  DeployRequest request = WasmRequest(HybridManifest("a"));
  request.image = Upload("no image");
  ExpectRefused(request, Code::kInvalidArgument, "no manifest.json");
  EXPECT_TRUE(served_.empty());
}

TEST_F(DeployerTest, RequestAndManifestMustAgree) {
  Start();
  DeployRequest request = WasmRequest(WasmManifest("a"));
  request.image = Upload("image");
  ExpectRefused(request, Code::kInvalidArgument, "the manifest has no [container]");
  request.image = {};
  request.module = {};
  ExpectRefused(request, Code::kInvalidArgument, "the request names no module");
  request.module = Sha256("never uploaded");
  ExpectRefused(request, Code::kNotFound, "upload it first");
  request = WasmRequest(WasmManifest("a/b"));
  ExpectRefused(request, Code::kInvalidArgument, "has a slash");
  request = WasmRequest(WasmManifest(std::string(300, 'a')));
  ExpectRefused(request, Code::kInvalidArgument, "300 bytes");
}

TEST_F(DeployerTest, FoldersMustBeAllowedByTheNode) {
  options_.allowed_folders = {"/srv/models", "/opt"};
  Start();
  Manifest manifest = WasmManifest("a");
  for (const std::string bad : {"/srv", "/srv/models2", "/etc", "/"}) {
    manifest.folders = {{bad, "/data", false}};
    ExpectRefused(WasmRequest(manifest), Code::kForbidden, "'" + bad + "' is not allowed");
  }
  manifest.folders = {{"/srv/models", "/a", false}, {"/opt/x/y", "/b", true}};
  EXPECT_TRUE(Deploy(WasmRequest(manifest)));
}

TEST_F(DeployerTest, NetworkHostsMustBeAllowedByTheNode) {
  options_.allowed_network = {"*.example.com:*", "127.0.0.1:8000"};
  Start();
  Manifest manifest = WasmManifest("a");
  for (const std::string bad : {"example.com", "127.0.0.1:8001", "10.0.0.1", "*.com:*"}) {
    manifest.network = {"a.example.com", bad};
    ExpectRefused(WasmRequest(manifest), Code::kForbidden,
                  "'" + bad + "' is not allowed on this node; add it to [network] allowed");
  }
  manifest.network = {"a.example.com:443", "127.0.0.1:8000"};
  EXPECT_TRUE(Deploy(WasmRequest(manifest)));
}

TEST_F(DeployerTest, TwoFunctionsCannotHaveOneHost) {
  Start();
  Manifest manifest = WasmManifest("a");
  manifest.hosts = {"x.example"};
  DeployWasm(manifest);
  manifest.name.value = "b";
  ExpectRefused(WasmRequest(manifest), Code::kConflict, "belongs to function 'a'");
}

TEST_F(DeployerTest, SecretsGoToTheFunctionAndNowhereElse) {
  Start();
  Manifest manifest = WasmManifest("a");
  manifest.environment = {{"PLAIN", "text"}};
  manifest.secrets = {{"TOKEN", WriteSecret("s3cret-canary\n")}};
  DeployWasm(manifest);
  EXPECT_EQ(served_["a"]->environment,
            (std::map<std::string, std::string>{{"PLAIN", "text"}, {"TOKEN", "s3cret-canary"}}));
  EXPECT_THAT(Describe("a").manifest, Not(HasSubstr("canary")));
  EXPECT_THAT(Snapshot(), Not(HasSubstr("canary")));
  for (const std::string name : {"registry.db", "registry.db-wal"}) {
    EXPECT_THAT(ReadFile(options_.state_folder / name).value(), Not(HasSubstr("canary")));
  }
}

TEST_F(DeployerTest, DeployingAgainReadsAChangedSecret) {
  Start();
  Manifest manifest = WasmManifest("a");
  manifest.secrets = {{"TOKEN", WriteSecret("old")}};
  DeployWasm(manifest);
  WriteSecret("new");
  const DeployOutcome again = DeployWasm(manifest);
  EXPECT_FALSE(again.changed);
  EXPECT_EQ(served_["a"]->environment.at("TOKEN"), "new");
}

TEST_F(DeployerTest, KeysComeFromAFileOfTheNodeAndCountAtOnceWhenDeployedAgain) {
  Start();
  const std::filesystem::path file = folder_.path() / "keys";
  const std::string old_key = MakeKey();
  const std::string new_key = MakeKey();
  ASSERT_TRUE(WriteFileAtomically(file, KeyLine("a", old_key)));
  Manifest manifest = WasmManifest("a");
  manifest.access_keys = file;
  DeployWasm(manifest);
  const auto knows = [this](const std::string& key) {
    return served_["a"]->keys->keys()->Find("Bearer " + key) != nullptr;
  };
  EXPECT_TRUE(knows(old_key));
  EXPECT_EQ(deployer_->KeyFiles(), (std::vector{served_["a"]->keys}));
  ASSERT_TRUE(WriteFileAtomically(file, KeyLine("a", new_key)));
  EXPECT_FALSE(DeployWasm(manifest).changed);
  EXPECT_TRUE(knows(new_key));
  EXPECT_FALSE(knows(old_key));
  DeployWasm(WasmManifest("open"));
  EXPECT_EQ(served_["open"]->keys, nullptr);
}

TEST_F(DeployerTest, AKeyFileThatIsNoneIsRefusedAndTakesItOutOfServiceAtAStart) {
  Start();
  const std::filesystem::path file = folder_.path() / "keys";
  Manifest manifest = WasmManifest("a");
  manifest.access_keys = file;
  ExpectRefused(WasmRequest(manifest), Code::kInvalidArgument,
                "access.keys: open " + file.string());
  ASSERT_TRUE(WriteFileAtomically(file, "a key-canary\n"));
  ExpectRefused(WasmRequest(manifest), Code::kInvalidArgument, "keys:1: the line holds no hash");
  EXPECT_THAT(Snapshot(), Not(HasSubstr("canary")));
  ASSERT_TRUE(WriteFileAtomically(file, KeyLine("a", MakeKey())));
  DeployWasm(manifest);
  Stop();
  std::filesystem::remove(file);
  served_.clear();
  Start();
  EXPECT_EQ(served_["a"], nullptr) << "not served to anybody";
  EXPECT_THAT(deployer_->FailureOf(FunctionName{"a"}), HasSubstr("access.keys: open"));
}

TEST_F(DeployerTest, ASecretThatCannotBeReadIsNamedWithTheReason) {
  Start();
  Manifest manifest = WasmManifest("a");
  manifest.secrets = {{"TOKEN", "/nonexistent/key"}};
  ExpectRefused(WasmRequest(manifest), Code::kInvalidArgument,
                "secret TOKEN: the file '/nonexistent/key' cannot be read (No such file");
  manifest.secrets = {{"TOKEN", (options_.state_folder / "registry.db").string()}};
  ExpectRefused(WasmRequest(manifest), Code::kInvalidArgument, "state folder");
}

TEST_F(DeployerTest, RollbackGoesToTheRevisionBefore) {
  Start();
  for (const std::string salt : {"one", "two", "three"}) DeployHybrid(HybridManifest("a"), salt);
  Result<DeployOutcome> outcome = Rollback("a");
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->revision.value, 2);
  EXPECT_EQ(served_["a"]->module, Sha256(MakeModule(1, "two")));
  ASSERT_TRUE(Rollback("a"));
  EXPECT_EQ(served_["a"]->revision.value, 1);
  outcome = Rollback("a");
  EXPECT_EQ(outcome.error().code, Code::kNotFound);
  EXPECT_THAT(outcome.error().message, HasSubstr("no revision before the current one, 1"));
  outcome = Rollback("a", 3);
  ASSERT_TRUE(outcome);
  EXPECT_EQ(served_["a"]->revision.value, 3);
  EXPECT_EQ(CurrentRevision("a"), 3);
}

TEST_F(DeployerTest, RollbackToWhereItIsOrToNowhereChangesNothing) {
  Start();
  DeployWasm(WasmManifest("a"));
  const Result<DeployOutcome> here = Rollback("a", 1);
  ASSERT_TRUE(here);
  EXPECT_FALSE(here->changed);
  EXPECT_EQ(Rollback("a", 99).error().code, Code::kNotFound);
  EXPECT_THAT(Rollback("a", 99).error().message, HasSubstr("99"));
  EXPECT_EQ(Rollback("nobody").error().code, Code::kNotFound);
  EXPECT_THAT(served_log_, ElementsAre("a@1"));
}

TEST_F(DeployerTest, ARemovedFunctionIsOutOfServiceAndItsImageGoes) {
  Start();
  DeployHybrid(HybridManifest("a"));
  const Digest image = served_["a"]->image;
  ASSERT_TRUE(Remove("a"));
  EXPECT_TRUE(served_.empty());
  EXPECT_EQ(deployer_->count(), 0u);
  EXPECT_EQ(Remove("a").error().code, Code::kNotFound);
  EXPECT_EQ(loop_.Await(deployer_->Describe(FunctionName{"a"})).error().code, Code::kNotFound);
  loop_.RunUntil([this, &image] { return !images_.present().contains(image); });
}

TEST_F(DeployerTest, AnImageThatWasStillInUseGoesLater) {
  options_.image_retry = std::chrono::milliseconds(1);
  Start();
  DeployHybrid(HybridManifest("a"));
  const Digest image = served_["a"]->image;
  images_.SetInUse(2);
  ASSERT_TRUE(Remove("a"));
  loop_.RunUntil([this, &image] { return !images_.present().contains(image); });
  EXPECT_EQ(images_.in_use(), 0);
}

TEST_F(DeployerTest, AnImageOfAnotherFunctionStays) {
  Start();
  DeployHybrid(HybridManifest("a"));
  DeployHybrid(HybridManifest("b"));
  DeployHybrid(HybridManifest("c"), "other");
  ASSERT_TRUE(Remove("a"));
  ASSERT_TRUE(Remove("c"));
  loop_.RunUntil([this] { return !images_.present().contains(Sha256("image other")); });
  EXPECT_TRUE(images_.present().contains(Sha256("image ")));
}

TEST_F(DeployerTest, BlobsThatNothingRefersToGoAfterTheirGrace) {
  Start();
  DeployWasm(WasmManifest("a"), "one");
  const Digest old = served_["a"]->module;
  const Digest fresh = Upload("just uploaded");
  const std::filesystem::path file =
      options_.state_folder / "blobs/sha256" / old.value.substr(0, 2) / old.value;
  const timespec long_ago[2] = {{1, 0}, {1, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, file.c_str(), long_ago, 0), 0);
  DeployWasm(WasmManifest("b"), "two");
  EXPECT_TRUE(std::filesystem::exists(file)) << "a revision refers to it";
  ASSERT_TRUE(Remove("a"));
  loop_.RunUntil([&file] { return !std::filesystem::exists(file); });
  EXPECT_TRUE(blobs_->Touch(fresh));
}

TEST_F(DeployerTest, ARestartBringsEverythingBack) {
  Start();
  Manifest manifest = HybridManifest("a");
  manifest.secrets = {{"TOKEN", WriteSecret("value")}};
  DeployHybrid(manifest, "one");
  DeployHybrid(manifest, "two");
  ASSERT_TRUE(Rollback("a"));
  DeployWasm(WasmManifest("b"));
  Stop();
  WriteSecret("changed meanwhile");
  Start();
  ASSERT_EQ(served_.size(), 2u);
  EXPECT_EQ(served_["a"]->revision.value, 1);
  EXPECT_EQ(served_["a"]->image, Sha256("image one"));
  EXPECT_THAT(served_["a"]->image_config, HasSubstr("entrypoint"));
  EXPECT_EQ(served_["a"]->environment.at("TOKEN"), "changed meanwhile");
  EXPECT_EQ(served_["b"]->module, Sha256(MakeModule()));
}

TEST_F(DeployerTest, AStartWithoutASecretFailsThatFunctionOnly) {
  Start();
  Manifest manifest = WasmManifest("a");
  manifest.secrets = {{"TOKEN", WriteSecret("value")}};
  DeployWasm(manifest);
  DeployWasm(WasmManifest("b"));
  Stop();
  ASSERT_EQ(::unlink(manifest.secrets["TOKEN"].c_str()), 0);
  Start();
  EXPECT_FALSE(served_.contains("a"));
  EXPECT_TRUE(served_.contains("b"));
  EXPECT_THAT(deployer_->FailureOf(FunctionName{"a"}), HasSubstr("secret TOKEN"));
  const FunctionDescription description = Describe("a");
  EXPECT_THAT(description.summary.failure, HasSubstr(manifest.secrets["TOKEN"]));
  EXPECT_TRUE(description.summary.wasm);

  WriteSecret("back");
  const DeployOutcome again = DeployWasm(manifest);
  EXPECT_FALSE(again.changed);
  EXPECT_EQ(served_["a"]->environment.at("TOKEN"), "back");
  EXPECT_EQ(deployer_->FailureOf(FunctionName{"a"}), "");
}

TEST_F(DeployerTest, AStartAfterTheImagesWereLostUnpacksThemAgain) {
  Start();
  DeployHybrid(HybridManifest("a"));
  Stop();
  images_.Forget();
  Start();
  loop_.RunUntil([this] { return images_.present().contains(Sha256("image ")); });
}

TEST_F(DeployerTest, WithoutContainersAFunctionWithBothBuildsRunsInWasm) {
  Start(Containers::kImpossible);
  DeployHybrid(HybridManifest("a"));
  EXPECT_THAT(steps_, ElementsAre("compile", "commit"));
  EXPECT_EQ(served_["a"]->image, Digest{});
  EXPECT_EQ(served_["a"]->image_config, "");
  EXPECT_EQ(images_.imports(), 0);
  Manifest only = HybridManifest("b");
  only.policy = PolicyKind::kContainerOnly;
  DeployRequest request = WasmRequest(only);
  request.image = Upload("image");
  ExpectRefused(request, Code::kUnsupported, "cannot run containers (the node was not started by");
}

TEST_F(DeployerTest, AFunctionGetsItsContainersOnceTheNodeCanRunThem) {
  Start(Containers::kImpossible);
  DeployHybrid(HybridManifest("a"));
  Stop();
  Start(Containers::kPossible);
  loop_.RunUntil([this] { return served_["a"]->image == Sha256("image "); });
  EXPECT_THAT(served_["a"]->image_config, HasSubstr("entrypoint"));
  EXPECT_EQ(served_["a"]->revision.value, 1);
}

TEST_F(DeployerTest, AContainerOnlyFunctionFailsWhereContainersAreGone) {
  Start();
  Manifest manifest = HybridManifest("a");
  manifest.wasm.reset();
  DeployRequest request;
  request.manifest = manifest;
  request.image = Upload("image");
  ASSERT_TRUE(Deploy(request));
  Stop();
  Start(Containers::kImpossible);
  EXPECT_TRUE(served_.empty());
  EXPECT_THAT(deployer_->FailureOf(FunctionName{"a"}), HasSubstr("cannot run containers"));
}

TEST_F(DeployerTest, DeploysOfOneFunctionEndInTheRegistrysOrder) {
  Start();
  std::vector<TestLoop::Task<Result<DeployOutcome>>> tasks;
  for (int i = 0; i < 20; ++i) {
    DeployRequest request;
    request.manifest = WasmManifest("a");
    request.module = Upload(MakeModule(1, std::to_string(i)));
    tasks.push_back(loop_.Start(deployer_->Deploy(std::move(request), {})));
  }
  for (auto& task : tasks) {
    loop_.RunUntil([&task] { return task.done(); });
    EXPECT_TRUE(task.result());
  }
  EXPECT_EQ(served_["a"]->revision.value, CurrentRevision("a"));
  ASSERT_EQ(served_log_.size(), 20u);
  for (size_t i = 0; i < served_log_.size(); ++i) {
    EXPECT_EQ(served_log_[i], "a@" + std::to_string(i + 1));
  }
}

TEST_F(DeployerTest, DescribeTellsRevisionsHistoryAndSizes) {
  Start();
  Manifest manifest = HybridManifest("a");
  manifest.description = "an example";
  DeployHybrid(manifest, "one");
  DeployHybrid(manifest, "two");
  ASSERT_TRUE(Rollback("a"));
  const FunctionDescription description = Describe("a");
  EXPECT_EQ(description.summary.revision.value, 1);
  EXPECT_EQ(description.summary.description, "an example");
  EXPECT_TRUE(description.summary.wasm && description.summary.container);
  EXPECT_EQ(description.module_bytes, MakeModule(1, "one").size());
  EXPECT_EQ(description.image_bytes, std::string("image one").size());
  EXPECT_EQ(description.revisions.size(), 2u);
  ASSERT_EQ(description.history.size(), 3u);
  EXPECT_TRUE(description.history[2].rollback);
}

TEST_F(DeployerTest, AfterStopNothingIsTaken) {
  Start();
  auto stop = [](Deployer* deployer) -> Awaitable<> {
    EXPECT_TRUE(co_await deployer->Stop(std::chrono::steady_clock::time_point::max()));
    co_return Result<>();
  };
  loop_.Await(stop(deployer_.get()));
  const Result<DeployOutcome> outcome = Deploy(WasmRequest(WasmManifest("a")));
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, Code::kUnavailable);
  deployer_.reset();
}

}  // namespace
}  // namespace hybridserve
