// containerd under the suites: a daemon of this program's own, in a folder of its own.
#include "container/agent/containerd/containerd_runtime.h"

#include <spawn.h>
#include <sys/wait.h>

#include <fstream>

#include "container/agent/bundle/bundle_host.h"
#include "container/agent/host_suite.h"

namespace hybridserve {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr char kDaemon[] = "/usr/bin/containerd";

class ContainerdNode : public HostNode {
 public:
  ~ContainerdNode() override {
    TakeAway();
    if (daemon_ > 0) End(SIGTERM);
  }
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
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    const std::string log = folder_.path() / "log";
    posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    std::vector<std::string> words = {kDaemon, "--config", config};
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    ASSERT_EQ(::posix_spawn(&daemon_, kDaemon, &actions, nullptr, argv.data(), environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    ContainerdClient client(loop.executor(), Socket(), "default");
    loop.RunUntil([this, &client] {
      int status = 0;
      if (::waitpid(daemon_, &status, WNOHANG) == daemon_) throw std::runtime_error(Log());
      return loop.Await(client.Version()).has_value();
    });
  }
  void End(int signal) {
    ::kill(daemon_, signal);
    int status = 0;
    ::waitpid(std::exchange(daemon_, -1), &status, 0);
  }

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
    return std::make_unique<BundleHost>(loop.executor(), std::move(runtime), std::move(options));
  }

 private:
  fs::path Socket() const { return folder_.path() / "c.sock"; }
  std::string Log() { return ReadFile(folder_.path() / "log").value_or("containerd ended"); }

  TemporaryFolder folder_;
  pid_t daemon_ = -1;
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
