// containerd under the suites: a daemon of this program's own, in a folder of its own.
#include "container/agent/containerd/containerd_runtime.h"

#include <fstream>

#include "container/agent/agent_host.h"
#include "container/agent/bundle/bundle_maker.h"
#include "container/agent/daemon_process.h"
#include "container/agent/host_suite.h"

namespace hybridserve {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr char kDaemon[] = "/usr/bin/containerd";

class ContainerdNode : public HostNode {
 public:
  ~ContainerdNode() override { TakeAway(); }
  void StartDaemon() {
    const std::string config = folder_.path() / "config.toml";
    std::ofstream(config) << "version = 2\nroot = \"" << (folder_.path() / "root").string()
                          << "\"\nstate = \"" << (folder_.path() / "state").string()
                          << "\"\noom_score = 0\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\", "
                             "\"io.containerd.snapshotter.v1.aufs\", "
                             "\"io.containerd.snapshotter.v1.btrfs\", "
                             "\"io.containerd.snapshotter.v1.devmapper\", "
                             "\"io.containerd.snapshotter.v1.zfs\"]\n[grpc]\n  address = \""
                          << Socket().string() << "\"\n[ttrpc]\n  address = \""
                          << (folder_.path() / "t.sock").string() << "\"\n";
    ContainerdClient client(loop.executor(), Socket(), "default");
    daemon_.Start(loop, {kDaemon, "--config", config}, folder_.path() / "log",
                  [this, &client] { return loop.Await(client.Version()).has_value(); });
  }
  void End(int signal) { daemon_.End(signal); }

 protected:
  std::string Lacks() override {
    for (const char* program : {kDaemon, "/usr/bin/containerd-shim-runc-v2"}) {
      if (::access(program, X_OK) != 0) return std::string(program) + " is not installed";
    }
    StartDaemon();
    return "";
  }
  std::unique_ptr<RuntimeHost> Make(RuntimeHostOptions options) override {
    auto runtime = std::make_unique<ContainerdRuntime>(loop.executor(), Socket());
    const uint32_t held = options.held;
    auto maker = std::make_unique<BundleMaker>(loop.executor(), std::move(runtime), std::move(options));
    return std::make_unique<AgentHost>(loop.executor(), std::move(maker), held);
  }

 private:
  fs::path Socket() const { return folder_.path() / "c.sock"; }

  TemporaryFolder folder_;
  DaemonProcess daemon_;
};

INSTANTIATE_TEST_SUITE_P(Containerd, RuntimeConformance,
                         testing::Values(&MakeHarness<ContainerdNode>));
INSTANTIATE_TEST_SUITE_P(Containerd, HostTest, testing::Values(&GetNode<ContainerdNode>));

class ContainerdTest : public HostTest {
 protected:
  ContainerdNode& Node() { return static_cast<ContainerdNode&>(*node_); }
};
INSTANTIATE_TEST_SUITE_P(Containerd, ContainerdTest, testing::Values(&GetNode<ContainerdNode>));

TEST_P(ContainerdTest, ADaemonThatIsAwayIsSaidToBeAndIsUsedAgainOnceItIsBack) {
  const ContainerId id = Serve();
  Node().End(SIGKILL);
  EXPECT_EQ(Ask(id), "hello") << "what runs goes on without it";
  const ContainerId other = *loop().Await(runtime().Create());
  SandboxHarness harness(loop(), runtime(), node_->image);
  const auto refused =
      loop().Await(runtime().Start(other, harness.Spec(ConformanceProgram::kServes)));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kUnavailable) << refused.error().message;
  EXPECT_THAT(refused.error().message, testing::HasSubstr("cannot reach containerd at"));
  Node().StartDaemon();
  loop().RunUntil([this, id] { return loop().Await(runtime().Destroy(id)).has_value(); });
  (void)loop().Await(runtime().Destroy(other));
  const ContainerId again = Serve();
  ASSERT_TRUE(loop().Await(runtime().Destroy(again)));
  EXPECT_EQ(Listed(), 0);
}

TEST_P(ContainerdTest, OneThatEndsWhileTheDaemonIsAwayIsToldAndRemovedOnceItIsBack) {
  const ContainerId id = Serve();
  std::vector<SandboxExit> exits;
  runtime().OnExit([&exits](const SandboxExit& exit) { exits.push_back(exit); });
  Node().End(SIGKILL);
  SandboxHarness(loop(), runtime(), node_->image).MakeItExit(id);
  loop().RunUntil([&exits] { return !exits.empty(); });
  EXPECT_EQ(exits[0].id, id);
  Node().StartDaemon();
  loop().RunUntil([this, id] { return loop().Await(runtime().Destroy(id)).has_value(); });
  EXPECT_EQ(Listed(), 0);
}

// Ends the daemon, which a static object would do too late.
class Daemon : public testing::Environment {
 public:
  void TearDown() override { NodeOf<ContainerdNode>().reset(); }
};
[[maybe_unused]] testing::Environment* const kEnvironment =
    testing::AddGlobalTestEnvironment(new Daemon);

}  // namespace
}  // namespace hybridserve
