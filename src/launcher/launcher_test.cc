#include <gmock/gmock.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <sstream>

#include "base/digest.h"
#include "ipc/seqpacket.h"
#include "launcher/protocol.h"
#include "launcher/state_folder.h"
#include "launcher/testing/bad_datagrams.h"
#include "launcher/testing/launcher_fixture.h"
#include "sandbox/id_range.h"
#include "sandbox/jail.h"

namespace hybridserve::launcher {
namespace {

using testing::HasSubstr;

std::map<std::string, std::string> ParseFacts(const std::string& text) {
  std::map<std::string, std::string> facts;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const size_t equals = line.find('=');
    if (equals != std::string::npos) facts[line.substr(0, equals)] = line.substr(equals + 1);
  }
  return facts;
}

// Empty when the other end is gone.
std::string Exchange(int socket, const std::string& request) {
  if (!ipc::Send(socket, request, {}, ipc::Wait::kBlock)) return "";
  std::string buffer(ipc::kMaxDatagramBytes, '\0');
  const auto received = ipc::Receive(socket, buffer, ipc::Wait::kBlock);
  return received ? buffer.substr(0, received->size) : std::string();
}

JobSpec Compile() {
  JobSpec spec;
  spec.program = "hybridserve-executor-wasmtime";
  spec.arguments = {"compile"};
  return spec;
}

// A module that says what the stub's compile is to do, read from its start.
UniqueFd Module(const std::string& command) {
  auto file = SealedMemfd("module", command);
  EXPECT_TRUE(file);
  ::lseek(file->get(), 0, SEEK_SET);
  return std::move(*file);
}

class LauncherTest : public LauncherFixture {
 protected:
  Result<JobResult> RunCompile(const std::string& command, JobSpec spec = Compile()) {
    const UniqueFd module = Module(command);
    return Wait(client_->RunJob(std::move(spec), {module.get()}));
  }
};

std::string StatusLine(pid_t pid, const std::string& key) {
  const auto status = ReadFile("/proc/" + std::to_string(pid) + "/status");
  std::istringstream lines(status ? *status : std::string());
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(key + ":")) return line.substr(key.size() + 2);
  }
  return "";
}

#define REQUIRE_ROOT() \
  if (!root_) GTEST_SKIP() << "containers, cgroups and other users need root"

TEST_F(LauncherTest, ServerRunsAsItsOwnUserWithoutAnyPrivilege) {
  REQUIRE_ROOT();
  StartLauncher();
  AcceptServer();
  EXPECT_EQ(server_uid_, 64100u);
  EXPECT_EQ(StatusLine(server_pid_, "CapEff"), "0000000000000000");
  EXPECT_EQ(StatusLine(server_pid_, "CapBnd"), "0000000000000000");
  EXPECT_EQ(StatusLine(server_pid_, "NoNewPrivs"), "1");
  EXPECT_EQ(StatusLine(server_pid_, "Groups"), " ");
  struct stat folder {};
  ASSERT_EQ(::stat((state() / "server").c_str(), &folder), 0);
  EXPECT_EQ(folder.st_uid, 64100u);
  EXPECT_EQ(folder.st_mode & 07777, 0711u);
  ASSERT_EQ(::stat((state() / "images").c_str(), &folder), 0);
  EXPECT_EQ(folder.st_uid, 0u);
}

TEST_F(LauncherTest, HelloSaysWhatTheMachineCanDo) {
  REQUIRE_ROOT();
  StartLauncher();
  AcceptServer();
  const auto abilities = Wait(client_->Hello());
  ASSERT_TRUE(abilities) << abilities.error().message;
  EXPECT_TRUE(abilities->containers) << abilities->why_not;
  EXPECT_TRUE(abilities->full_jail);
  EXPECT_THAT(abilities->cgroup, testing::AnyOf("v2", "v1 hybrid"));
}

TEST_F(LauncherTest, ExecutorLivesInAnEmptyJailAndItsEndIsReportedAtOnce) {
  StartLauncher();
  AcceptServer();
  ExecutorSpec spec;
  spec.memory_bytes = 64u << 20;
  auto started = Wait(client_->StartExecutor(spec));
  ASSERT_TRUE(started) << started.error().message;
  auto facts = ParseFacts(Exchange(started->data.get(), "facts"));
  EXPECT_EQ(facts["root_entries"], "0");
  EXPECT_EQ(facts["write_root"], std::to_string(EROFS));
  EXPECT_EQ(facts["up"], std::to_string(ENOENT));
  EXPECT_EQ(facts["scratch_bytes"], std::to_string(16u << 20));
  EXPECT_EQ(facts["scratch_write"], "0");
  EXPECT_EQ(facts["scratch_up"], std::to_string(ENOENT));
  EXPECT_EQ(facts["socket"], std::to_string(EPERM));
  EXPECT_EQ(facts["fork"], std::to_string(EPERM));
  EXPECT_EQ(facts["exec"], std::to_string(EPERM));
  EXPECT_EQ(facts["threads"], "1");
  // The same from outside: the launcher does not take the program's word for it.
  const pid_t executor = started->pid;
  EXPECT_THAT(Children(), testing::Contains(executor));
  for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"}) {
    EXPECT_EQ(StatusLine(executor, set), "0000000000000000") << set;
  }
  EXPECT_EQ(StatusLine(executor, "Seccomp"), "2");
  EXPECT_EQ(StatusLine(executor, "NoNewPrivs"), "1");
  if (root_) {
    EXPECT_THAT(StatusLine(executor, "Uid"), HasSubstr("64128"));
  }
  EXPECT_TRUE(std::filesystem::is_empty("/proc/" + std::to_string(executor) + "/root/"));

  const auto killed = std::chrono::steady_clock::now();
  ASSERT_TRUE(ipc::Send(started->data.get(), "crash", {}, ipc::Wait::kBlock));
  ASSERT_TRUE(RunUntil([this] { return !executor_exits_.empty(); }));
  auto next = Wait(client_->StartExecutor({}));
  ASSERT_TRUE(next);
  EXPECT_EQ(Exchange(next->data.get(), "hello"), "what?");
  EXPECT_LT(std::chrono::steady_clock::now() - killed, std::chrono::seconds(2));
  EXPECT_EQ(executor_exits_[0], std::make_pair(started->id, 128 + SIGILL));
}

TEST_F(LauncherTest, KilledExecutorIsReportedWithItsSignal) {
  StartLauncher();
  AcceptServer();
  auto started = Wait(client_->StartExecutor({}));
  ASSERT_TRUE(started);
  ASSERT_TRUE(Wait(client_->KillExecutor(started->id)));
  ASSERT_TRUE(RunUntil([this] { return !executor_exits_.empty(); }));
  EXPECT_EQ(executor_exits_[0].second, 128 + SIGKILL);
  EXPECT_TRUE(Wait(client_->KillExecutor(started->id)));
}

TEST_F(LauncherTest, JobGetsItsDescriptorsAndItsOutputComesBack) {
  StartLauncher();
  AcceptServer();
  const auto echoed = RunCompile("echo some text");
  ASSERT_TRUE(echoed) << echoed.error().message;
  EXPECT_EQ(echoed->exit_status, 0) << echoed->output;
  EXPECT_EQ(echoed->output, "some text");

  const UniqueFd in = Module("copy payload");
  const UniqueFd out(::memfd_create("out", 0));
  const auto copied = Wait(client_->RunJob(Compile(), {in.get(), out.get()}));
  ASSERT_TRUE(copied);
  EXPECT_EQ(copied->exit_status, 0) << copied->output;
  char bytes[16]{};
  EXPECT_EQ(::pread(out.get(), bytes, sizeof(bytes), 0), 7);
  EXPECT_STREQ(bytes, "payload");
}

TEST_F(LauncherTest, JobThatFailsFloodsHangsOrEatsSaysSo) {
  StartLauncher();
  AcceptServer();
  const auto failed = RunCompile("fail because");
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->exit_status, 3);
  EXPECT_EQ(failed->output, "because");

  const auto flooded = RunCompile("flood");
  ASSERT_TRUE(flooded);
  EXPECT_EQ(flooded->exit_status, 0);
  EXPECT_EQ(flooded->output.size(), 64u * 1024);

  JobSpec slow = Compile();
  slow.timeout = std::chrono::milliseconds(100);
  const auto hung = RunCompile("sleep", slow);
  ASSERT_TRUE(hung);
  EXPECT_TRUE(hung->timed_out);
  EXPECT_EQ(hung->exit_status, 128 + SIGKILL);

  if (!root_) return;
  JobSpec hungry = Compile();
  hungry.memory_bytes = 64u << 20;
  const auto ate = RunCompile("eat", hungry);
  ASSERT_TRUE(ate);
  EXPECT_TRUE(ate->out_of_memory);
}

TEST_F(LauncherTest, RequestsOutOfRangeAreRefusedByName) {
  StartLauncher();
  AcceptServer();
  // An unpack has a verb of its own.
  for (const char* program : {"../../bin/sh", "hybridserve-unpack", "hybridserve-init"}) {
    JobSpec job = Compile();
    job.program = program;
    EXPECT_THAT(Wait(client_->RunJob(job, {})).error().message,
                HasSubstr("not one that jobs may run"));
  }
  const std::vector<std::string> wrong[] = {{},
                                            {"serve"},
                                            {"compile", "--no-lockdown"},
                                            {"--no-lockdown", "compile"},
                                            {"fingerprint", ""},
                                            {"compile", "--compiler"},
                                            {"compile", "--compiler", ""},
                                            {"compile", "--compiler", "llvm"},
                                            {"compile", "--memory-limit", "cranelift"},
                                            {"compile", "--compiler", "winch", "--no-lockdown"}};
  for (const auto& arguments : wrong) {
    JobSpec job = Compile();
    job.arguments = arguments;
    EXPECT_THAT(Wait(client_->RunJob(job, {})).error().message,
                HasSubstr("'compile' or 'fingerprint' and perhaps a compiler"));
  }
  for (const char* compiler : {"", "llvm", "--no-lockdown"}) {
    ExecutorSpec spec;
    spec.compiler = compiler;
    EXPECT_THAT(Wait(client_->StartExecutor(spec)).error().message, HasSubstr("compiler"));
  }
  JobSpec boundless = Compile();
  boundless.memory_bytes = 0;
  EXPECT_THAT(Wait(client_->RunJob(boundless, {})).error().message, HasSubstr("memory_bytes = 0"));
  ExecutorSpec engine;
  engine.engine = "../x";
  EXPECT_THAT(Wait(client_->StartExecutor(engine)).error().message, HasSubstr("'../x' is unknown"));
  EXPECT_THAT(Wait(client_->RemoveImage(Digest{"../../etc"})).error().message,
              HasSubstr("not a SHA-256"));
  EXPECT_THAT(Wait(client_->MakeSockets(ContainerId{1}, 9)).error().message, HasSubstr("1..8"));
  EXPECT_THAT(Wait(client_->MakeListener(ContainerId{1}, 80)).error().message,
              HasSubstr("port = 80 is not in 1024..65535"));
  EXPECT_EQ(Wait(client_->MakeListener(ContainerId{77}, 3128)).error().code, Code::kNotFound);
  EXPECT_EQ(Wait(client_->Stats(ContainerId{77})).error().code, Code::kNotFound);
  EXPECT_TRUE(Wait(client_->DestroySandbox(ContainerId{77})));
  EXPECT_THAT(Wait(client_->OpenFolder(ExecutorId{1}, "/etc/../root", false)).error().message,
              HasSubstr("'..'"));
}

TEST_F(LauncherTest, HundredThousandBadDatagramsLeaveItServing) {
  StartLauncher();
  UniqueFd socket = AcceptSocket();
  ASSERT_TRUE(socket);
  BadDatagrams datagrams(1);
  std::string buffer(ipc::kMaxDatagramBytes, '\0');
  for (int i = 0; i < 100000; ++i) {
    datagrams.Next();
    // Read before and after: a launcher that cannot get rid of its answers takes no request.
    while (true) {
      while (ipc::Receive(socket.get(), buffer, ipc::Wait::kDont)) {
      }
      const Result<> sent = datagrams.Send(socket.get());
      if (sent) break;
      ASSERT_EQ(sent.error().code, Code::kUnavailable) << sent.error().message;
      pollfd one{socket.get(), POLLIN | POLLOUT, 0};
      ::poll(&one, 1, -1);
    }
  }
  ipc::Writer hello;
  PutHeader(hello, Verb::kHello, BadDatagrams::kNoId);
  ASSERT_TRUE(ipc::Send(socket.get(), hello.bytes(), {}, ipc::Wait::kBlock));
  while (true) {
    const auto received = ipc::Receive(socket.get(), buffer, ipc::Wait::kBlock);
    ASSERT_TRUE(received && received->size > 0);
    ipc::Reader reader(std::string_view(buffer).substr(0, received->size));
    if (GetHeader(reader)->id != BadDatagrams::kNoId) continue;
    EXPECT_TRUE(GetStatus(reader));
    break;
  }
  EXPECT_THAT(Children(), testing::ElementsAre(server_pid_));
}

TEST_F(LauncherTest, ServerThatCrashesIsStartedAgainAndItsExecutorsAreGone) {
  StartLauncher();
  AcceptServer();
  ASSERT_TRUE(Wait(client_->Hello()));
  auto started = Wait(client_->StartExecutor({}));
  ASSERT_TRUE(started);
  const pid_t first = server_pid_;
  TellServer('c');
  AcceptServer();
  EXPECT_NE(server_pid_, first);
  ASSERT_TRUE(Wait(client_->Hello()));
  EXPECT_EQ(Exchange(started->data.get(), "hello"), "");
}

TEST_F(LauncherTest, ServerThatServedIsStartedAgainAtOnceHoweverOftenItDies) {
  StartLauncher();
  AcceptServer();
  const auto begun = std::chrono::steady_clock::now();
  for (int i = 0; i < 7; ++i) {
    ASSERT_TRUE(Wait(client_->Hello()));
    ASSERT_TRUE(Wait(client_->Ready()));
    TellServer('c');
    AcceptServer();
  }
  // With the delays of a server that cannot start it would be 12.7 s.
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(5));
}

TEST_F(LauncherTest, ServerThatDiesBeforeItServesIsStartedAgainEverMoreSlowly) {
  StartLauncher();
  AcceptServer();
  const auto begun = std::chrono::steady_clock::now();
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(Wait(client_->Hello()));
    TellServer('c');
    AcceptServer();
  }
  EXPECT_GE(std::chrono::steady_clock::now() - begun, std::chrono::milliseconds(100 + 200 + 400));
}

TEST_F(LauncherTest, ServerThatCannotServeEndsTheNodeWithItsStatus) {
  StartLauncher();
  AcceptServer();
  TellServer('5');
  EXPECT_EQ(WaitForLauncher(), 5);
}

TEST_F(LauncherTest, TerminationReachesTheServerAndEndsTheNodeWithZero) {
  StartLauncher();
  AcceptServer();
  SignalLauncher(SIGTERM);
  EXPECT_EQ(WaitForLauncher(), 0);
}

TEST_F(LauncherTest, SecondNodeOnTheSameStateFolderIsAConflict) {
  StartLauncher();
  AcceptServer();
  sandbox::Child first = std::move(launcher_);
  StartLauncher();
  EXPECT_EQ(WaitForLauncher(), ExitCode(Code::kConflict));
  launcher_ = std::move(first);
}

TEST_F(LauncherTest, StateFolderIsFreeOnceItsNodeIsDeadWhateverItsChildrenDo) {
  const User user{::geteuid(), ::getegid()};
  auto link = ipc::MakePair();
  ASSERT_TRUE(link);
  // A node that dies while a child of it, a forked worker, lives as long as this test holds `link`.
  const auto node = sandbox::Clone({}, [&] {
    const auto folder = StateFolder::Open(state(), user);
    if (!folder) return 1;
    if (::fork() != 0) return 0;
    link->first.Reset();
    std::string buffer(ipc::kMaxDatagramBytes, '\0');
    (void)ipc::Receive(link->second.get(), buffer, ipc::Wait::kBlock);
    return 0;
  });
  ASSERT_TRUE(node);
  EXPECT_EQ(sandbox::Reap(*node), 0);
  EXPECT_TRUE(StateFolder::Open(state(), user));
}

TEST_F(LauncherTest, UnknownUserOrFlagIsAUsageError) {
  if (root_) {
    StartLauncher({"--user", "root"});
    EXPECT_EQ(WaitForLauncher(), 2);
  }
  StartLauncher({"--colour"});
  EXPECT_EQ(WaitForLauncher(), 2);
}

TEST_F(LauncherTest, KilledLauncherTakesServerAndExecutorsWithIt) {
  StartLauncher();
  AcceptServer();
  auto started = Wait(client_->StartExecutor({}));
  ASSERT_TRUE(started);
  SignalLauncher(SIGKILL);
  EXPECT_EQ(WaitForLauncher(), 128 + SIGKILL);
  EXPECT_TRUE(RunUntil([this] { return gone_; }));
  EXPECT_EQ(Exchange(started->data.get(), "hello"), "");
}

TEST_F(LauncherTest, OnlyAllowedFoldersAreOpenedAndNothingAboveThem) {
  const auto base = folder_.path() / "granted";
  std::filesystem::create_directories(base / "inner");
  std::filesystem::create_directories(folder_.path() / "secret");
  std::filesystem::create_symlink("../secret", base / "link");
  ASSERT_TRUE(WriteFileAtomically(base / "file", "x"));
  StartLauncher({"--allow-folder", base});
  AcceptServer();
  const auto started = Wait(client_->StartExecutor({}));
  ASSERT_TRUE(started) << started.error().message;
  const ExecutorId executor = started->id;
  auto folder = Wait(client_->OpenFolder(executor, base, false));
  ASSERT_TRUE(folder) << folder.error().message;
  EXPECT_GE(UniqueFd(::openat(folder->get(), "file", O_RDONLY)).get(), 0);
  EXPECT_EQ(UniqueFd(::openat(folder->get(), "../secret", O_RDONLY)).get(), -1);
  EXPECT_EQ(UniqueFd(::openat(folder->get(), "new", O_WRONLY | O_CREAT, 0600)).get(), -1);
  EXPECT_EQ(errno, EROFS);
  auto writable = Wait(client_->OpenFolder(executor, base / "inner", true));
  ASSERT_TRUE(writable) << writable.error().message;
  EXPECT_GE(UniqueFd(::openat(writable->get(), "new", O_WRONLY | O_CREAT, 0600)).get(), 0);
  EXPECT_EQ(UniqueFd(::openat(writable->get(), "../file", O_RDONLY)).get(), -1);
  EXPECT_FALSE(Wait(client_->OpenFolder(executor, base / "link", false)));
  EXPECT_EQ(Wait(client_->OpenFolder(executor, "/etc", false)).error().code, Code::kForbidden);
  EXPECT_EQ(Wait(client_->OpenFolder(ExecutorId{77}, base, false)).error().code, Code::kNotFound);
}

// Limits, keys and signals that the kernel counts by user are not shared, granted folders are.
TEST_F(LauncherTest, ExecutorsHaveUsersOfTheirOwnWhomGrantedFoldersKnowAsOne) {
  REQUIRE_ROOT();
  const auto base = folder_.path() / "granted";
  std::filesystem::create_directories(base);
  ASSERT_TRUE(WriteFileAtomically(base / "file", "x"));
  ASSERT_EQ(::chown((base / "file").c_str(), 64101, 64101), 0);
  StartLauncher({"--allow-folder", base});
  AcceptServer();
  auto first = Wait(client_->StartExecutor({}));
  auto second = Wait(client_->StartExecutor({}));
  ASSERT_TRUE(first && second);
  for (const auto& one : {&first, &second})
    EXPECT_EQ(Exchange((*one)->data.get(), "hello"), "what?");
  EXPECT_EQ(StatusLine(first->pid, "Uid"), "64128\t64128\t64128\t64128");
  EXPECT_EQ(StatusLine(second->pid, "Uid"), "64129\t64129\t64129\t64129");
  EXPECT_EQ(StatusLine(second->pid, "Gid"), "64101\t64101\t64101\t64101");
  const auto folder = Wait(client_->OpenFolder(second->id, base, true));
  ASSERT_TRUE(folder) << folder.error().message;
  struct stat file {};
  ASSERT_EQ(::fstatat(folder->get(), "file", &file, 0), 0);
  if (file.st_uid == 64101) GTEST_SKIP() << "this file system does not translate owners";
  EXPECT_EQ(file.st_uid, 64129u);
  EXPECT_EQ(file.st_gid, 64101u);
  // Root stays root, and what the executor's user makes is kExecutorUid's.
  ASSERT_EQ(::fstatat(folder->get(), ".", &file, 0), 0);
  EXPECT_EQ(file.st_uid, 0u);
  ASSERT_EQ(::mkdirat(folder->get(), "made", 0700), 0);
  ASSERT_EQ(::fchownat(folder->get(), "made", 64129, 64101, 0), 0);
  ASSERT_EQ(::stat((base / "made").c_str(), &file), 0);
  EXPECT_EQ(file.st_uid, 64101u);

  // The user of one that has ended is free again.
  ASSERT_TRUE(Wait(client_->KillExecutor(first->id)));
  ASSERT_TRUE(RunUntil([this] { return !executor_exits_.empty(); }));
  const auto third = Wait(client_->StartExecutor({}));
  ASSERT_TRUE(third);
  EXPECT_EQ(Exchange(third->data.get(), "hello"), "what?");
  EXPECT_EQ(StatusLine(third->pid, "Uid"), "64128\t64128\t64128\t64128");
}

TEST_F(LauncherTest, WithoutRootThereIsAJailButNoContainers) {
  REQUIRE_ROOT();
  if (sandbox::ProbeIsolation() != sandbox::Isolation::kNamespaces) {
    GTEST_SKIP() << "the kernel gives this process no user namespaces (a chroot?)";
  }
  StartLauncher({}, 12345, 23456);
  AcceptServer();
  EXPECT_EQ(server_uid_, 12345u);
  const auto abilities = Wait(client_->Hello());
  ASSERT_TRUE(abilities);
  EXPECT_FALSE(abilities->containers);
  EXPECT_THAT(abilities->why_not, HasSubstr("root"));
  EXPECT_EQ(abilities->cgroup, "none");
  EXPECT_FALSE(abilities->full_jail);
  EXPECT_EQ(Wait(client_->CreateSandbox()).error().code, Code::kUnsupported);
  auto started = Wait(client_->StartExecutor({}));
  ASSERT_TRUE(started) << started.error().message;
  auto facts = ParseFacts(Exchange(started->data.get(), "facts"));
  EXPECT_EQ(facts["root_entries"], "0");
  EXPECT_EQ(facts["socket"], std::to_string(EPERM));
  const auto echoed = RunCompile("echo text");
  ASSERT_TRUE(echoed);
  EXPECT_EQ(echoed->output, "text");
}

}  // namespace
}  // namespace hybridserve::launcher
