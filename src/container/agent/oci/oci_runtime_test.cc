// runc and crun under the suites; where either is not installed, its tests say so.
#include "container/agent/oci/oci_runtime.h"

#include <fstream>
#include <map>

#include "container/agent/agent_host.h"
#include "container/agent/bundle/bundle_folder.h"
#include "container/agent/bundle/bundle_maker.h"
#include "container/agent/host_suite.h"

namespace hybridserve {
namespace {

namespace fs = std::filesystem;

template <OciRuntime::Program kProgram>
class OciNode : public HostNode {
 protected:
  std::string Lacks() override {
    const std::string name = kProgram == OciRuntime::Program::kRunc ? "runc" : "crun";
    for (const char* folder : {"/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"}) {
      path_ = fs::path(folder) / name;
      if (::access(path_.c_str(), X_OK) == 0) return "";
    }
    return name + " is not installed";
  }
  std::unique_ptr<RuntimeHost> Make(RuntimeHostOptions options) override {
    fs::path state = options.folder / "state";
    auto runtime =
        std::make_unique<OciRuntime>(loop.executor(), kProgram, path_, std::move(state));
    options.held = held;
    auto maker = std::make_unique<BundleMaker>(loop.executor(), std::move(runtime), std::move(options));
    return std::make_unique<AgentHost>(loop.executor(), std::move(maker), 0);
  }

 public:
  uint32_t held = 0;

 private:
  fs::path path_;
};

using RuncNode = OciNode<OciRuntime::Program::kRunc>;
using CrunNode = OciNode<OciRuntime::Program::kCrun>;

INSTANTIATE_TEST_SUITE_P(Runc, RuntimeConformance, testing::Values(&MakeHarness<RuncNode>));
INSTANTIATE_TEST_SUITE_P(Crun, RuntimeConformance, testing::Values(&MakeHarness<CrunNode>));
INSTANTIATE_TEST_SUITE_P(Runc, HostTest, testing::Values(&GetNode<RuncNode>));
INSTANTIATE_TEST_SUITE_P(Crun, HostTest, testing::Values(&GetNode<CrunNode>));

class OciHostTest : public HostTest {
 protected:
  // The value of a control of the container's, whichever version the controller is.
  std::string Control(ContainerId id, const std::string& controller, const std::string& file) {
    BundleNote note;
    for (const auto& folder : fs::directory_iterator(node_->options().folder / "containers")) {
      const auto found = ReadBundleNote(folder.path());
      if (found && found->id == id) note = *found;
    }
    std::ifstream groups("/proc/" + std::to_string(note.pid) + "/cgroup");
    for (std::string line; std::getline(groups, line);) {
      const size_t first = line.find(':');
      const size_t second = line.find(':', first + 1);
      if (line.substr(first + 1, second - first - 1).find(controller) == std::string::npos) continue;
      const fs::path path = "/sys/fs/cgroup/" + controller + line.substr(second + 1) + "/" + file;
      std::string text = ReadFile(path).value_or("");
      if (text.ends_with('\n')) text.pop_back();
      return text;
    }
    return "";
  }
};

INSTANTIATE_TEST_SUITE_P(Runc, OciHostTest, testing::Values(&GetNode<RuncNode>));
INSTANTIATE_TEST_SUITE_P(Crun, OciHostTest, testing::Values(&GetNode<CrunNode>));

TEST_P(OciHostTest, LimitsAreTheKernels) {
  if (!fs::exists("/sys/fs/cgroup/memory")) GTEST_SKIP() << "reads controllers of version 1";
  const ContainerId id = *loop().Await(runtime().Create());
  SandboxHarness harness(loop(), runtime(), node_->image);
  ContainerSpec spec = harness.Spec(ConformanceProgram::kServes);
  spec.sandbox.cpu_cores = 0.5;
  ASSERT_TRUE(loop().Await(runtime().Start(id, spec)));
  EXPECT_EQ(Control(id, "memory", "memory.limit_in_bytes"), std::to_string(32 << 20));
  EXPECT_EQ(Control(id, "pids", "pids.max"), "16");
  EXPECT_EQ(Control(id, "cpu", "cpu.cfs_quota_us"), "50000");
  ASSERT_TRUE(loop().Await(runtime().Destroy(id)));
}

TEST_P(OciHostTest, AStartHasAQuarterOfTheProcessorUntilItServes) {
  if (!fs::exists("/sys/fs/cgroup/cpu")) GTEST_SKIP() << "reads controllers of version 1";
  const ContainerId id = *loop().Await(runtime().Create());
  SandboxHarness harness(loop(), runtime(), node_->image);
  ASSERT_TRUE(loop().Await(runtime().Start(id, harness.Spec(ConformanceProgram::kServes))));
  EXPECT_EQ(Control(id, "cpu", "cpu.shares"), "256");
  EXPECT_EQ(Ask(id), "hello");
  loop().RunUntil([this, id] { return Control(id, "cpu", "cpu.shares") == "1024"; });
  ASSERT_TRUE(loop().Await(runtime().Destroy(id)));
}

TEST_P(OciHostTest, NothingOfAContainerIsLeftOnTheMachine) {
  const std::string name =
      "hybridserve-" + node_->options().node + "-" + std::to_string(Serve().value);
  const auto all = loop().Await(runtime().List());
  for (const AdoptedContainer& one : *all) {
    ASSERT_TRUE(loop().Await(runtime().Destroy(one.id)));
  }
  EXPECT_TRUE(fs::is_empty(node_->options().folder / "containers"));
  EXPECT_EQ(ReadFile("/proc/self/mounts")->find(node_->options().folder), std::string::npos);
  for (const char* controller : {"memory", "pids", "freezer", "cpu", "unified"}) {
    EXPECT_FALSE(fs::exists(fs::path("/sys/fs/cgroup") / controller / name)) << controller;
  }
}

// One that was created ahead: its first process waits before the program.
template <typename Node>
class AheadTest : public testing::Test {
 protected:
  void SetUp() override {
    node_ = &static_cast<Node&>(GetNode<Node>());
    if (!node_->lacks.empty()) GTEST_SKIP() << node_->lacks;
    node_->TakeAway();
    node_->held = 1;
    node_->Bring();
    ASSERT_TRUE(node_->failure.empty()) << node_->failure;
  }
  void TearDown() override {
    if (!node_->lacks.empty()) return;
    ASSERT_TRUE(loop().Await(node_->host().Close()));
    EXPECT_TRUE(fs::is_empty(node_->options().folder / "containers"));
    node_->TakeAway();
    node_->held = 0;
    node_->Bring();
  }
  TestLoop& loop() { return node_->loop; }
  // Starts the suite's program with this environment; its first process.
  ContainerId Start(const std::string& greeting) {
    SandboxHarness harness(loop(), node_->runtime(), node_->image);
    ContainerSpec spec = harness.Spec(ConformanceProgram::kServes);
    spec.sandbox.environment["GREETING"] = greeting;
    spec.sandbox.label = "f@1";
    const ContainerId id = *loop().Await(node_->runtime().Create());
    const auto log = loop().Await(node_->runtime().Start(id, spec));
    EXPECT_TRUE(log) << log.error().message;
    return id;
  }
  std::map<uint64_t, pid_t> Processes() {
    std::map<uint64_t, pid_t> all;
    for (const auto& folder : fs::directory_iterator(node_->options().folder / "containers")) {
      const auto note = ReadBundleNote(folder.path());
      if (note) all[note->id.value] = note->pid;
    }
    return all;
  }
  // The first process of the one made ahead, once there is one.
  pid_t Ahead() {
    pid_t pid = 0;
    loop().RunUntil([this, &pid] {
      const auto all = Processes();
      const auto found = all.find(0);
      pid = found == all.end() ? 0 : found->second;
      return pid > 0;
    });
    return pid;
  }
  Node* node_ = nullptr;
};
using Kinds = testing::Types<RuncNode, CrunNode>;
TYPED_TEST_SUITE(AheadTest, Kinds);

TYPED_TEST(AheadTest, TheNextEqualStartLetsItGoOn) {
  const ContainerId first = this->Start("a");
  const pid_t ahead = this->Ahead();
  const ContainerId second = this->Start("a");
  EXPECT_EQ(this->Processes()[second.value], ahead);
  for (const ContainerId id : {first, second}) {
    ASSERT_TRUE(this->loop().Await(this->node_->runtime().Destroy(id)));
  }
}

TYPED_TEST(AheadTest, AnotherSpecificationDoesNot) {
  const ContainerId first = this->Start("a");
  const pid_t ahead = this->Ahead();
  const ContainerId second = this->Start("b");
  EXPECT_NE(this->Processes()[second.value], ahead);
  this->loop().RunUntil([this, ahead] {
    return this->Processes()[0] != ahead && this->Ahead() != ahead;
  });
  for (const ContainerId id : {first, second}) {
    ASSERT_TRUE(this->loop().Await(this->node_->runtime().Destroy(id)));
  }
}

TYPED_TEST(AheadTest, ItIsGoneWithTheAgent) {
  const ContainerId first = this->Start("a");
  this->Ahead();
  this->node_->TakeAway();
  this->node_->Bring();
  ASSERT_TRUE(this->node_->failure.empty()) << this->node_->failure;
  EXPECT_FALSE(this->Processes().contains(0));
  ASSERT_TRUE(this->loop().Await(this->node_->runtime().Destroy(first)));
}

}  // namespace
}  // namespace hybridserve
