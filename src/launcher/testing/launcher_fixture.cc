#include "launcher/testing/launcher_fixture.h"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <boost/asio/steady_timer.hpp>
#include <cstring>
#include <sstream>

#include "ipc/seqpacket.h"

namespace hybridserve::launcher {
namespace {

std::string Address() { return "hybridserve-test-" + std::to_string(::getpid()); }

UniqueFd Listen(const std::string& name) {
  UniqueFd listener(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path + 1, name.c_str(), sizeof(address.sun_path) - 2);
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  if (::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::listen(listener.get(), 8) != 0) {
    listener.Reset();
  }
  return listener;
}

bool WaitReadable(int fd, std::chrono::milliseconds timeout) {
  pollfd one{fd, POLLIN, 0};
  return ::poll(&one, 1, static_cast<int>(timeout.count())) == 1;
}

}  // namespace

void LauncherFixture::StartLauncher(std::vector<std::string> flags, uid_t uid, gid_t gid) {
  namespace fs = std::filesystem;
  fs::permissions(folder_.path(), fs::perms(0711));
  fs::create_directories(programs());
  fs::copy_file(LAUNCHER_PROGRAM, programs() / "hybridserve-launcher",
                fs::copy_options::skip_existing);
  for (const char* name : {"hybridserve-executor-wasmtime", "hybridserve-unpack"}) {
    fs::copy_file(STUB_PROGRAM, programs() / name, fs::copy_options::skip_existing);
  }
  fs::copy_file(STUB_SERVER, programs() / "server", fs::copy_options::skip_existing);
  if (uid != 0) {
    fs::create_directories(state());
    ASSERT_EQ(::chown(state().c_str(), uid, gid), 0);
  }
  if (!listener_) listener_ = Listen(Address());
  ASSERT_TRUE(listener_);
  std::vector<std::string> words = {programs() / "hybridserve-launcher", "--state-folder", state(),
                                    "--log-level", "debug"};
  words.insert(words.end(), flags.begin(), flags.end());
  words.insert(words.end(), {"--", programs() / "server", Address()});
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  auto child = sandbox::Clone({}, [&argv, uid, gid] {
    if (uid != 0 && (::setgid(gid) != 0 || ::setuid(uid) != 0)) return 125;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // A test that is killed leaves no launcher.
    ::execv(argv[0], argv.data());
    return 125;
  });
  ASSERT_TRUE(child);
  launcher_ = std::move(*child);
}

UniqueFd LauncherFixture::AcceptSocket() {
  if (!WaitReadable(listener_.get(), std::chrono::seconds(20))) return {};
  server_.Reset(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  std::array<char, 64> facts{};
  auto received = ipc::Receive(server_.get(), facts, ipc::Wait::kBlock);
  if (!received || received->fds.size() != 1) return {};
  std::istringstream words(facts.data());
  words >> server_pid_ >> server_uid_;
  return std::move(received->fds[0]);
}

void LauncherFixture::AcceptServer() {
  UniqueFd socket = AcceptSocket();
  ASSERT_TRUE(socket);
  LauncherClient::Events events;
  events.sandbox_exited = [this](const SandboxExit& exit) { exits_.push_back(exit); };
  events.executor_exited = [this](ExecutorId id, int status) {
    executor_exits_.emplace_back(id, status);
  };
  events.launcher_gone = [this] { gone_ = true; };
  client_ =
      std::make_unique<LauncherClient>(loop_.get_executor(), std::move(socket), std::move(events));
}

void LauncherFixture::TellServer(char command) {
  EXPECT_TRUE(ipc::Send(server_.get(), std::string_view(&command, 1), {}, ipc::Wait::kBlock));
}

int LauncherFixture::WaitForLauncher() {
  if (!WaitReadable(launcher_.pidfd.get(), std::chrono::seconds(20))) return -1;
  const int status = sandbox::Reap(launcher_);
  launcher_ = {};
  return status;
}

bool LauncherFixture::RunUntil(const std::function<bool()>& done) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  loop_.restart();
  while (!done()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    if (loop_.stopped()) loop_.restart();
    loop_.run_one_for(std::chrono::milliseconds(100));
  }
  return true;
}

std::vector<pid_t> LauncherFixture::Children() const {
  const std::string pid = std::to_string(launcher_.pid);
  std::vector<pid_t> children;
  const auto text = ReadFile("/proc/" + pid + "/task/" + pid + "/children");
  std::istringstream words(text ? *text : std::string());
  for (pid_t child = 0; words >> child;) children.push_back(child);
  return children;
}

void LauncherFixture::TearDown() {
  client_.reset();
  loop_.poll();
  if (!launcher_) return;
  sandbox::Kill(launcher_, SIGTERM);
  if (!WaitReadable(launcher_.pidfd.get(), std::chrono::seconds(10))) sandbox::Kill(launcher_);
  sandbox::Reap(launcher_);
}

}  // namespace hybridserve::launcher
