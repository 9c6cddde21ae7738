#include "sandbox/container.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>

#include "sandbox/testing/container_rig.h"

namespace hybridserve::sandbox {
namespace {

using testing::HasSubstr;
using State = Container::State;

class ContainerTest : public testing::Test {
 protected:
  void SetUp() override {
    auto rig = ContainerRig::Make();
    if (!rig && rig.error().code == Code::kUnsupported) GTEST_SKIP() << rig.error().message;
    ASSERT_TRUE(rig) << rig.error().message;
    rig_ = std::move(*rig);
  }
  static ContainerProgram Probe(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "/probe");
    return ContainerRig::Program(std::move(arguments));
  }
  static size_t HostMounts() {
    std::ifstream mounts("/proc/self/mountinfo");
    return static_cast<size_t>(std::count(std::istreambuf_iterator<char>(mounts), {}, '\n'));
  }

  std::unique_ptr<ContainerRig> rig_;
};

TEST_F(ContainerTest, ProgramSeesOnlyItsOwnSystem) {
  const Ended ended = rig_->Run(Probe({"report"}));
  ASSERT_EQ(ended.error.message, "");
  auto facts = ended.Facts();
  EXPECT_EQ(facts["done"], "1");
  EXPECT_EQ(facts["pid"], "1");
  EXPECT_EQ(facts["host"], "hello");
  EXPECT_EQ(facts["interfaces"], "lo,");
  EXPECT_EQ(facts["fds"], "0,1,2,");
  EXPECT_EQ(facts["own_file"], "x");
  EXPECT_EQ(facts["own_uid"], "0");
  EXPECT_EQ(facts["core"], "0");
  EXPECT_THAT(facts["uid_map"], HasSubstr("65536"));
  EXPECT_THAT(facts["uid_map"], testing::Not(HasSubstr("2000000000")));
  EXPECT_THAT(facts["cgroup"], testing::Not(HasSubstr("hybridserve-test")));
  EXPECT_THAT(facts["hosts"], HasSubstr("127.0.0.1\tlocalhost hello"));
}

TEST_F(ContainerTest, ProgramHasNoPrivilegeAndCannotGainOne) {
  auto facts = rig_->Run(Probe({"report"})).Facts();
  for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"}) {
    EXPECT_EQ(facts[set], "0000000000000000") << set;
  }
  EXPECT_EQ(facts["NoNewPrivs"], "1");
  EXPECT_EQ(facts["Seccomp"], "2");
  for (const char* call : {"mount", "umount", "ptrace", "keyctl", "bpf", "unshare", "setns",
                           "clone_newuser", "io_uring", "perf", "userfaultfd", "pivot_root",
                           "open_tree", "vsock", "packet", "pdeathsig", "pdeathsig_high"}) {
    EXPECT_EQ(facts["deny." + std::string(call)], "EPERM") << call;
  }
  EXPECT_EQ(facts["deny.clone3"], "ENOSYS");
  EXPECT_EQ(facts["deny.newer"], "ENOSYS");
}

TEST_F(ContainerTest, RootAndKernelFilesAreReadOnlyOrMasked) {
  auto facts = rig_->Run(Probe({"report"})).Facts();
  EXPECT_EQ(facts["write.root"], "EROFS");
  EXPECT_EQ(facts["write.dev"], "EROFS");
  EXPECT_EQ(facts["mode./proc/sys"], "ro");
  for (const char* path : {"/proc/bus", "/proc/irq", "/proc/sysrq-trigger"}) {
    EXPECT_NE(facts["mode." + std::string(path)], "rw") << path;
  }
  EXPECT_EQ(facts["write.tmp"], "ok");
  EXPECT_EQ(facts["write.run"], "ok");
  EXPECT_EQ(facts["write.shm"], "ok");
  EXPECT_EQ(facts["write.null"], "ok");
  EXPECT_EQ(facts["timer_list"], "");
  EXPECT_EQ(facts["keys"], "");
  for (const char* device : {"null,", "zero,", "full,", "random,", "urandom,", "shm,", "pts,"}) {
    EXPECT_THAT(facts["dev"], HasSubstr(device));
  }
  // The image's /tmp is a link to /etc: what the program writes there must not follow it.
  EXPECT_FALSE(std::filesystem::exists(rig_->root() / "etc" / "new"));
}

TEST_F(ContainerTest, WritableRootTakesWritesThatTheImageNeverSees) {
  ContainerProgram program = Probe({"report"});
  program.writable_root = true;
  EXPECT_EQ(rig_->Run(program).Facts()["write.root"], "ok");
  EXPECT_FALSE(std::filesystem::exists(rig_->root() / "new"));
  EXPECT_EQ(rig_->Run(Probe({"report"})).Facts()["write.root"], "EROFS");
}

TEST_F(ContainerTest, EverythingWrittenSharesOneDiskLimit) {
  for (const char* path : {"/tmp/x", "/dev/shm/x", "/run/x", "/x"}) {
    ContainerProgram program = Probe({"fill", path});
    program.writable_root = true;
    const Ended ended = rig_->Run(program);
    EXPECT_THAT(ended.output, HasSubstr("ENOSPC")) << path;
    EXPECT_LE(std::stol(ended.Facts()["filled"]), 8 << 20) << path;
    EXPECT_GT(std::stol(ended.Facts()["filled"]), 7 << 20) << path;
  }
}

TEST_F(ContainerTest, MemoryAndProcessesAreLimited) {
  const Ended eaten = rig_->Run(Probe({"eat", "100"}));
  EXPECT_EQ(eaten.status, 128 + SIGKILL);
  EXPECT_TRUE(eaten.out_of_memory);
  const Ended small = rig_->Run(Probe({"eat", "10"}));
  EXPECT_EQ(small.status, 0);
  EXPECT_FALSE(small.out_of_memory);
  EXPECT_EQ(rig_->Run(Probe({"fork"})).output, "forked=15 errno=EAGAIN\n");
}

TEST_F(ContainerTest, RunsAsTheImagesUserInItsFolderWithItsEnvironment) {
  ContainerProgram program = Probe({"report"});
  program.uid = 5;
  program.gid = 6;
  program.working_folder = "/work";
  auto facts = rig_->Run(program).Facts();
  EXPECT_EQ(facts["uid"], "5");
  EXPECT_EQ(facts["gid"], "6");
  EXPECT_EQ(facts["CapEff"], "0000000000000000");
  EXPECT_EQ(facts["write.run"], "ok");
  ContainerProgram prints = Probe({"print", "GREETING"});
  prints.environment = {{"GREETING", "good day"}};
  EXPECT_EQ(rig_->Run(prints).output, "good day\n");
  ContainerProgram searched = ContainerRig::Program({"probe", "print", "PATH"});
  searched.environment = {{"PATH", "/nowhere:/"}};
  EXPECT_EQ(rig_->Run(searched).output, "/nowhere:/\n");
}

TEST_F(ContainerTest, WhatCannotRunSaysWhatIsWrong) {
  EXPECT_THAT(rig_->Run(ContainerRig::Program({"/absent"})).error.message,
              HasSubstr("no program '/absent'"));
  EXPECT_THAT(rig_->Run(ContainerRig::Program({"/etc/own"})).error.message,
              HasSubstr("not executable"));
  ContainerProgram lost = Probe({"report"});
  lost.working_folder = "/absent";
  EXPECT_THAT(rig_->Run(lost).error.message, HasSubstr("no working folder '/absent'"));
}

TEST_F(ContainerTest, ServesOverSocketsMadeInItsNetwork) {
  auto container = rig_->Create();
  ASSERT_TRUE(container);
  EXPECT_EQ((*container)->MakeSockets(1).error().code, Code::kConflict);
  ASSERT_TRUE(ContainerRig::Await(**container, State::kHeld)) << (*container)->error().message;
  auto log =
      rig_->Start(**container, Probe({"serve", "80"}), {.memory_bytes = 64u << 20, .pids = 16});
  ASSERT_TRUE(log);
  ASSERT_TRUE(ContainerRig::Await(**container, State::kRunning)) << (*container)->error().message;
  bool answered = false;
  for (int attempt = 0; attempt < 5000 && !answered; ++attempt) {
    auto sockets = (*container)->MakeSockets(1);
    ASSERT_TRUE(sockets);
    const int fd = (*sockets)[0].get();
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(80);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    (void)::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address));
    pollfd one{fd, POLLOUT, 0};
    ::poll(&one, 1, 1000);
    if (::send(fd, "GET / HTTP/1.1\r\n\r\n", 18, MSG_NOSIGNAL) != 18) continue;
    one.events = POLLIN;
    ::poll(&one, 1, 1000);
    char answer[64]{};
    answered = ::recv(fd, answer, sizeof(answer) - 1, 0) > 0 &&
               std::string(answer).starts_with("HTTP/1.1 200");
  }
  EXPECT_TRUE(answered);
  EXPECT_EQ(rig_->Destroy(std::move(*container)), 128 + SIGKILL);
}

TEST_F(ContainerTest, DestroyedOnesLeaveNothing) {
  const size_t mounts = HostMounts();
  std::vector<std::unique_ptr<Container>> containers;
  for (int i = 0; i < 4; ++i) {
    auto container = rig_->Create();
    ASSERT_TRUE(container);
    containers.push_back(std::move(*container));
  }
  ASSERT_TRUE(ContainerRig::Await(*containers[0], State::kHeld));
  ASSERT_TRUE(ContainerRig::Await(*containers[1], State::kHeld));
  auto log = rig_->Start(*containers[1], Probe({"fork"}), {.pids = 16});
  ASSERT_TRUE(log);
  ASSERT_TRUE(ContainerRig::Await(*containers[1], State::kRunning));
  std::vector<pid_t> pids;
  for (auto& container : containers) {
    pids.push_back(container->child().pid);
    rig_->Destroy(std::move(container));
  }
  for (const pid_t pid : pids) EXPECT_EQ(::kill(pid, 0), -1);
  EXPECT_EQ(HostMounts(), mounts);
  EXPECT_TRUE(rig_->cgroups().RemoveTree());
  for (const auto& hierarchy : std::filesystem::directory_iterator("/sys/fs/cgroup")) {
    const auto left = hierarchy.path() / ("hybridserve-test-" + std::to_string(::getpid()));
    EXPECT_FALSE(std::filesystem::exists(left)) << left;
  }
}

TEST_F(ContainerTest, RangeOfUsersServesAgainAndTwoContainersNeverShareOne) {
  auto first = rig_->Run(Probe({"report"})).Facts()["uid_map"];
  EXPECT_EQ(rig_->Run(Probe({"report"})).Facts()["uid_map"], first);
  auto other = rig_->Create();
  ASSERT_TRUE(other);
  EXPECT_NE(rig_->Run(Probe({"report"})).Facts()["uid_map"], first);
  rig_->Destroy(std::move(*other));
}

}  // namespace
}  // namespace hybridserve::sandbox
