// Docker Engine under the suites: a daemon of this program's own, in a folder of its own.
#include "container/agent/docker/docker_maker.h"

#include <fstream>

#include "container/agent/agent_host.h"
#include "container/agent/daemon_process.h"
#include "container/agent/docker/engine_client.h"
#include "container/agent/docker/image_tar.h"
#include "container/agent/host_suite.h"

namespace hybridserve {
namespace {

namespace fs = std::filesystem;

constexpr char kDaemon[] = "/usr/sbin/dockerd";

class DockerNode : public HostNode {
 public:
  ~DockerNode() override { TakeAway(); }
  void StartDaemon() {
    std::ofstream(folder_.path() / "config.json") << "{}";
    const auto path = [this](const char* name) { return (folder_.path() / name).string(); };
    const std::vector<std::string> words = {
        kDaemon,           "--config-file",    path("config.json"), "--host",
        "unix://" + Socket().string(),         "--data-root",       path("data"),
        "--exec-root",     path("exec"),       "--pidfile",         path("pid"),
        "--storage-driver", "overlay2",        "--cgroup-parent",   "/hybridserve-test-docker",
        "--iptables=false", "--ip-masq=false", "--ip-forward=false", "--bridge=none"};
    daemon_.Start(loop, words, folder_.path() / "log", [this] {
      EngineClient engine(loop.executor(), Socket());
      return loop.Await(engine.Ask("GET", "/version", EngineClient::Json())).has_value();
    });
  }
  void End(int signal) { daemon_.End(signal); }
  fs::path Socket() const { return folder_.path() / "d.sock"; }

 protected:
  std::string Lacks() override {
    for (const char* program : {kDaemon, "/usr/bin/containerd", "/usr/sbin/runc"}) {
      if (::access(program, X_OK) != 0) return std::string(program) + " is not installed";
    }
    StartDaemon();
    return "";
  }
  std::unique_ptr<RuntimeHost> Make(RuntimeHostOptions options) override {
    options.runtime = Socket();
    auto maker = std::make_unique<DockerMaker>(loop.executor(), std::move(options));
    return std::make_unique<AgentHost>(loop.executor(), std::move(maker), held);
  }

 public:
  uint32_t held = 0;

 private:
  TemporaryFolder folder_;
  DaemonProcess daemon_;
};

INSTANTIATE_TEST_SUITE_P(Docker, RuntimeConformance, testing::Values(&MakeHarness<DockerNode>));
INSTANTIATE_TEST_SUITE_P(Docker, HostTest, testing::Values(&GetNode<DockerNode>));

class DockerTest : public HostTest {
 protected:
  DockerNode& Node() { return static_cast<DockerNode&>(*node_); }
  size_t Containers(const std::string& state = "") {
    EngineClient engine(loop().executor(), Node().Socket());
    std::string target = "/containers/json?all=1";
    if (!state.empty()) target += "&filters=" + EscapeForUrl(R"({"status":[")" + state + "\"]}");
    return loop().Await(engine.Ask("GET", target, EngineClient::Json()))->size();
  }
};
INSTANTIATE_TEST_SUITE_P(Docker, DockerTest, testing::Values(&GetNode<DockerNode>));

TEST_P(DockerTest, AHeldNetworkIsUsedByTheNextStartAndReplaced) {
  Node().TakeAway();
  Node().held = 1;
  Node().Bring();
  ASSERT_TRUE(Node().failure.empty()) << Node().failure;
  // The daemon says that it runs before it has said so to who started it.
  for (int rounds = 0; rounds < 20; ++rounds) {
    loop().RunUntil([this] { return Containers("running") == 1; });
  }
  const ContainerId id = Serve();
  loop().RunUntil([this] { return Containers() == 3; });
  ASSERT_TRUE(loop().Await(runtime().Destroy(id)));
  EXPECT_EQ(Containers(), 1);
  ASSERT_TRUE(loop().Await(Node().host().Close()));
  EXPECT_EQ(Containers(), 0);
  Node().TakeAway();
  Node().held = 0;
  Node().Bring();
}

TEST_P(DockerTest, ADaemonThatIsAwayIsSaidToBeAndIsUsedAgainOnceItIsBack) {
  Node().End(SIGTERM);
  const ContainerId id = *loop().Await(runtime().Create());
  SandboxHarness harness(loop(), runtime(), node_->image);
  const auto refused = loop().Await(runtime().Start(id, harness.Spec(ConformanceProgram::kServes)));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kUnavailable) << refused.error().message;
  EXPECT_THAT(refused.error().message, testing::HasSubstr("cannot reach Docker Engine at"));
  Node().StartDaemon();
  ASSERT_TRUE(loop().Await(runtime().Destroy(id)));
  const ContainerId again = Serve();
  ASSERT_TRUE(loop().Await(runtime().Destroy(again)));
  EXPECT_EQ(Containers(), 0);
}

TEST(ImageTar, OwnersAreShiftedBackAndSecondNamesAreLinks) {
  if (::geteuid() != 0) GTEST_SKIP() << "changes owners";
  const TemporaryFolder folder;
  const fs::path root = folder.path() / "root";
  fs::create_directories(root / "a");
  std::ofstream(root / "a" / "file") << "content";
  fs::create_hard_link(root / "a" / "file", root / "a" / "second");
  fs::create_symlink("a/file", root / "link");
  ASSERT_EQ(::lchown((root / "a" / "file").c_str(), 5001, 5002), 0);
  ASSERT_TRUE(WriteImageTar(root, 5000, folder.path() / "out.tar"));
  const std::string list = folder.path() / "list";
  const std::string command = "tar --numeric-owner -tvf " +
                              (folder.path() / "out.tar").string() + " | sort -k6 >" + list;
  ASSERT_EQ(std::system(command.c_str()), 0);
  const std::string text = *ReadFile(list);
  EXPECT_THAT(text, testing::HasSubstr("1/2"));
  EXPECT_THAT(text, testing::HasSubstr("link to a/"));
  EXPECT_THAT(text, testing::HasSubstr("link -> a/file"));
  EXPECT_EQ(WriteImageTar(folder.path() / "none", 0, folder.path() / "x.tar").error().code,
            Code::kNotFound);
}

// Ends the daemon, which a static object would do too late.
class Daemon : public testing::Environment {
 public:
  void TearDown() override { NodeOf<DockerNode>().reset(); }
};
[[maybe_unused]] testing::Environment* const kEnvironment =
    testing::AddGlobalTestEnvironment(new Daemon);

}  // namespace
}  // namespace hybridserve
