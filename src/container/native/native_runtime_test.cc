// Runs the suite of every runtime against the real launcher, as root.
//
// The launcher starts its server and hands it its socket: this program is both the one that starts
// the launcher and, started again by it as an unprivileged user, the server that runs the tests.
#include "container/sandbox_runtime.h"

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <optional>

#include "base/file.h"
#include "container/runtime_conformance.h"
#include "container/sandbox_harness.h"
#include "launcher/client.h"
#include "launcher/protocol.h"

namespace hybridserve {
namespace {

// Set in the process that runs the tests when they cannot be run here.
constexpr char kWhyNot[] = "NATIVE_RUNTIME_TEST_WHY_NOT";
// The server's exit statuses: others than these make the launcher start it again.
constexpr int kFailed = 2;

// The launcher's socket comes once for a process; so does the image.
struct Node {
  TestLoop loop;
  std::unique_ptr<LauncherClient> launcher;
  std::unique_ptr<SandboxRuntime> runtime;
  std::string lacks;
  std::string failure;
  Digest image;
};

Node* MakeNode() {
  auto node = std::make_unique<Node>();
  if (const char* why_not = std::getenv(kWhyNot)) {
    node->lacks = why_not;
    return node.release();
  }
  LauncherClient::Events events;
  events.sandbox_exited = [node = node.get()](const SandboxExit& exit) {
    node->runtime->OnSandboxExit(exit);
  };
  const char* socket = std::getenv(launcher::kSocketVariable);
  node->launcher = std::make_unique<LauncherClient>(node->loop.executor(),
                                                    UniqueFd(std::atoi(socket)), std::move(events));
  node->runtime = std::make_unique<SandboxRuntime>(node->loop.executor(), *node->launcher,
                                                   "native");
  const auto abilities = node->loop.Await(node->launcher->Hello());
  if (!abilities || !abilities->containers) {
    node->lacks = abilities ? abilities->why_not : "";
    node->failure = abilities ? "" : abilities.error().message;
    return node.release();
  }
  const auto unpack = [node = node.get()](int archive, Digest digest) {
    return node->launcher->UnpackImage(archive, std::move(digest));
  };
  Result<Digest> image = ImportConformanceImage(node->loop, unpack);
  if (!image) {
    node->failure = image.error().message;
    return node.release();
  }
  node->image = std::move(*image);
  return node.release();
}

MadeHarness MakeNativeHarness() {
  static Node& node = *MakeNode();
  MadeHarness made;
  made.lacks = node.lacks;
  made.failure = node.failure;
  if (node.lacks.empty() && node.failure.empty()) {
    made.harness = std::make_unique<SandboxHarness>(node.loop, *node.runtime, node.image);
  }
  return made;
}

INSTANTIATE_TEST_SUITE_P(Native, RuntimeConformance, testing::Values(&MakeNativeHarness));

TEST(RuntimeLabel, BringsBackThePort) {
  const auto parsed = ParseRuntimeLabel(RuntimeLabel(8081, "f@3"));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->port, 8081);
  EXPECT_EQ(parsed->label, "f@3");
  for (const char* bad : {"", "f@3", "/f@3", "x/f@3", "0/f", "70000/f", "80 /f"}) {
    EXPECT_FALSE(ParseRuntimeLabel(bad)) << bad;
  }
}

// Runs `command` and returns its exit status.
int RunProgram(std::vector<std::string> command) {
  std::vector<char*> argv;
  for (std::string& argument : command) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);  // a test that is stopped leaves no node behind
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// Starts the launcher with this program as its server, which runs the same tests.
int RunUnderLauncher(int argc, char** argv) {
  const TemporaryFolder state;
  std::filesystem::permissions(state.path(), std::filesystem::perms(0711));
  std::vector<std::string> command{ProgramFolder() / "hybridserve-launcher",
                                   "--state-folder",
                                   state.path() / "node",
                                   "--held",
                                   "2",
                                   "--log-level",
                                   "warn",
                                   "--",
                                   std::filesystem::read_symlink("/proc/self/exe")};
  command.insert(command.end(), argv + 1, argv + argc);
  return RunProgram(std::move(command));
}

}  // namespace
}  // namespace hybridserve

int main(int argc, char** argv) {
  const bool is_server = std::getenv(hybridserve::launcher::kSocketVariable) != nullptr;
  const bool lists = argc > 1 && std::string_view(argv[1]).starts_with("--gtest_list_tests");
  if (!is_server && !lists && ::geteuid() == 0) return hybridserve::RunUnderLauncher(argc, argv);
  if (!is_server) ::setenv(hybridserve::kWhyNot, "native containers need root", 1);
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS() == 0 ? 0 : hybridserve::kFailed;
}
