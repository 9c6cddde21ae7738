// Processes, mounts, cgroups and filters; Lockdown and containers have files of their own.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <sstream>
#include <thread>

#include "base/file.h"
#include "sandbox/cgroup.h"
#include "sandbox/cgroup_file.h"
#include "sandbox/id_range.h"
#include "sandbox/jail.h"
#include "sandbox/mounts.h"
#include "sandbox/page_out.h"
#include "sandbox/process.h"
#include "sandbox/seccomp.h"

namespace hybridserve::sandbox {
namespace {

// Runs `body` in a child; its exit status.
int InChild(const std::function<int()>& body) {
  const auto child = Clone({}, body);
  return child ? Reap(*child) : -1;
}

// Holds nothing of the test's and ends by itself, so that a failed test leaves nobody behind whom
// the test driver would wait for.
Child Sleeper() {
  auto child = Clone({}, [] {
    ::syscall(SYS_close_range, 0u, ~0u, 0u);
    ::alarm(60);
    while (true) ::pause();
    return 0;
  });
  EXPECT_TRUE(child);
  return std::move(*child);
}

// The launcher's place: a mount namespace of its own, and no chroot. Without it the tests could not
// run in a bare system in a folder.
class InOwnMounts : public testing::Environment {
 public:
  void SetUp() override {
    if (::geteuid() != 0) return;
    ASSERT_EQ(::unshare(CLONE_NEWNS), 0);
    ASSERT_TRUE(MakeMountsPrivate());
    const Result<> left = LeaveChroot();
    ASSERT_TRUE(left) << left.error().message;
  }
};
const testing::Environment* const kInOwnMounts = testing::AddGlobalTestEnvironment(new InOwnMounts);

std::string TreeName() { return "hybridserve-test-" + std::to_string(::getpid()); }

TEST(Process, StatusTellsExitFromSignal) {
  EXPECT_EQ(InChild([] { return 7; }), 7);
  const Child sleeper = Sleeper();
  EXPECT_FALSE(TryReap(sleeper));
  Kill(sleeper, SIGTERM);
  EXPECT_EQ(Reap(sleeper), 128 + SIGTERM);
  Kill(sleeper);
}

TEST(Process, ArrangedDescriptorsAreInOrderAndAlone) {
  const UniqueFd a(::memfd_create("a", 0));
  const UniqueFd b(::memfd_create("b", 0));
  const UniqueFd last(::memfd_create("last", 0));
  EXPECT_EQ(::write(a.get(), "a", 1) + ::write(b.get(), "bb", 2), 3);
  const int status = InChild([&] {
    const std::vector<int> fds{b.get(), a.get()};
    const auto end = ArrangeDescriptors(fds, last.get());
    if (!end || *end != 5) return 1;
    if (::lseek(3, 0, SEEK_END) != 2 || ::lseek(4, 0, SEEK_END) != 1) return 2;
    if ((::fcntl(3, F_GETFD) & FD_CLOEXEC) != 0 || (::fcntl(5, F_GETFD) & FD_CLOEXEC) == 0)
      return 3;
    for (int fd = 6; fd < 200; ++fd) {
      if (::fcntl(fd, F_GETFD) >= 0) return 4;
    }
    return 0;
  });
  EXPECT_EQ(status, 0);
}

// A bare system in a folder: how an installer, or a test of one, runs a node.
TEST(Mounts, AChrootedRootGetsUserNamespacesOnceItHasLeft) {
  if (::geteuid() != 0) GTEST_SKIP() << "chroot needs root";
  if (ProbeIsolation() != Isolation::kNamespaces) GTEST_SKIP() << "no user namespaces here";
  TemporaryFolder folder;
  const int status = InChild([&folder] {
    if (::unshare(CLONE_NEWNS) != 0 || !MakeMountsPrivate()) return 1;
    if (!Bind("/", folder.path().c_str(), 0)) return 2;
    if (::chroot(folder.path().c_str()) != 0 || ::chdir("/usr") != 0) return 3;
    if (ProbeIsolation() == Isolation::kNamespaces) return 4;
    if (!LeaveChroot()) return 5;
    if (ProbeIsolation() != Isolation::kNamespaces) return 6;
    if (std::filesystem::current_path() != "/usr") return 7;
    // Twice changes nothing.
    return LeaveChroot() && std::filesystem::current_path() == "/usr" ? 0 : 8;
  });
  EXPECT_EQ(status, 0);
}

// What both kinds of tree must do.
class CgroupTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "cgroups need root";
  }
  static void JoinAndEnd(Cgroup& group) {
    const std::vector<int> join = group.join_fds();
    const auto child = Clone({.cgroup = group.clone_fd()}, [&join] {
      for (const int fd : join) {
        if (::write(fd, "0", 1) != 1) return 1;
      }
      while (true) ::pause();
      return 0;
    });
    ASSERT_TRUE(child);
    const auto entered = [&group] {
      const auto usage = group.Usage();
      return usage && usage->processes == 1;
    };
    while (!entered()) std::this_thread::yield();
    EXPECT_EQ(group.Remove().error().code, Code::kConflict);
    ASSERT_TRUE(group.Freeze());
    group.KillAll();
    EXPECT_EQ(Reap(*child), 128 + SIGKILL);
    EXPECT_TRUE(group.Remove());
    EXPECT_TRUE(group.Remove());
  }
};

TEST_F(CgroupTest, MachinesOwnKindHoldsFreezesAndKills) {
  auto tree = OpenCgroupTree(TreeName());
  if (!tree && tree.error().code == Code::kUnsupported) GTEST_SKIP() << tree.error().message;
  ASSERT_TRUE(tree) << tree.error().message;
  auto group = (*tree)->Create("one");
  ASSERT_TRUE(group);
  ASSERT_TRUE((*group)->SetLimits({.memory_bytes = 32u << 20, .pids = 4, .cpu_cores = 0.5}));
  JoinAndEnd(**group);
}

TEST_F(CgroupTest, UnifiedTreeClonesIntoFreezesAndKills) {
  std::filesystem::path root;
  for (const char* path : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}) {
    if (std::filesystem::exists(std::string(path) + "/cgroup.controllers")) root = path;
  }
  if (root.empty()) GTEST_SKIP() << "no cgroup2 file system is mounted";
  auto tree = OpenCgroupV2Tree(root, TreeName());
  ASSERT_TRUE(tree) << tree.error().message;
  EXPECT_EQ((*tree)->kind(), "v2");
  auto group = (*tree)->Create("one");
  ASSERT_TRUE(group);
  EXPECT_TRUE((*group)->join_fds().empty());
  ASSERT_TRUE((*group)->SetLimits({.memory_bytes = 32u << 20, .pids = 4, .cpu_cores = 0.5}));
  JoinAndEnd(**group);
}

TEST_F(CgroupTest, NoGroupIsOpenedThatOthersAreIn) {
  // This process's own, its child's that shares it, and that of the first process of all.
  const auto child = Sleeper();
  for (const pid_t pid : {::getpid(), child.pid, pid_t{1}}) {
    const auto opened = OpenCgroupOf(pid);
    ASSERT_FALSE(opened) << pid;
    EXPECT_EQ(opened.error().code, Code::kUnsupported) << opened.error().message;
  }
  Kill(child);
  Reap(child);
}

TEST_F(CgroupTest, AGroupThatTheCallerIsInIsNotKilled) {
  const std::filesystem::path root = "/sys/fs/cgroup/unified";
  if (!std::filesystem::exists(root / "cgroup.procs")) GTEST_SKIP() << "no cgroup2 file system";
  auto tree = OpenCgroupV2Tree(root, TreeName());
  ASSERT_TRUE(tree) << tree.error().message;
  auto group = (*tree)->Create("one");
  ASSERT_TRUE(group);
  const auto child = Clone({.cgroup = (*group)->clone_fd()}, [&group] {
    KillProcesses((*group)->clone_fd());
    return 7;
  });
  ASSERT_TRUE(child);
  EXPECT_EQ(Reap(*child), 7);
  EXPECT_TRUE((*group)->Remove());
}

TEST_F(CgroupTest, AFrozenGroupsMemoryGoesToSwapAndComesBack) {
  if (!HasSwap()) GTEST_SKIP() << "this machine has no swap";
  auto tree = OpenCgroupTree(TreeName());
  if (!tree && tree.error().code == Code::kUnsupported) GTEST_SKIP() << tree.error().message;
  ASSERT_TRUE(tree) << tree.error().message;
  auto group = (*tree)->Create("one");
  ASSERT_TRUE(group);
  ASSERT_TRUE((*group)->SetLimits({.memory_bytes = 64u << 20, .pids = 4, .cpu_cores = 0}));
  int ready[2];
  ASSERT_EQ(::pipe2(ready, O_CLOEXEC), 0);
  const UniqueFd from(ready[0]);
  const UniqueFd to(ready[1]);
  constexpr size_t kBytes = 16u << 20;
  const std::vector<int> join = (*group)->join_fds();
  const auto child = Clone({.cgroup = (*group)->clone_fd()}, [&join, &to] {
    for (const int fd : join) {
      if (::write(fd, "0", 1) != 1) return 1;
    }
    auto* const memory = static_cast<char*>(
        ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    for (size_t i = 0; i < kBytes; ++i) memory[i] = static_cast<char>(i * 2654435761u >> 24);
    if (::write(to.get(), "r", 1) != 1) return 2;
    ::raise(SIGSTOP);
    for (size_t i = 0; i < kBytes; ++i) {
      if (memory[i] != static_cast<char>(i * 2654435761u >> 24)) return 3;
    }
    return 0;
  });
  ASSERT_TRUE(child);
  char byte = 0;
  ASSERT_EQ(::read(from.get(), &byte, 1), 1);
  ASSERT_TRUE((*group)->Freeze());
  const Result<> paged_out = (*group)->PageOut();
  ASSERT_TRUE(paged_out) << paged_out.error().message;
  const std::string status = *ReadFile("/proc/" + std::to_string(child->pid) + "/status");
  const size_t at = status.find("VmSwap:");
  ASSERT_NE(at, std::string::npos);
  EXPECT_GT(std::stoul(status.substr(at + 7)), kBytes / 2 / 1024) << status;
  ASSERT_TRUE((*group)->Thaw());
  while (::waitpid(child->pid, nullptr, WUNTRACED | WNOHANG) == 0) std::this_thread::yield();
  ::kill(child->pid, SIGCONT);
  EXPECT_EQ(Reap(*child), 0);
  EXPECT_TRUE((*group)->Remove());
}

TEST_F(CgroupTest, TreeLeftByADeadProcessIsTakenOver) {
  const auto leave = Clone({}, [] {
    auto tree = OpenCgroupTree(TreeName() + "-left");
    if (!tree) return 1;
    auto group = (*tree)->Create("old");
    const Child child = Sleeper();
    if (!(*group)->Add(child.pid)) return 2;
    ::kill(::getpid(), SIGKILL);
    return 3;
  });
  ASSERT_TRUE(leave);
  const int status = Reap(*leave);
  if (status == 1) GTEST_SKIP() << "no usable cgroups";
  ASSERT_EQ(status, 128 + SIGKILL);
  auto tree = OpenCgroupTree(TreeName() + "-left");
  ASSERT_TRUE(tree) << tree.error().message;
  EXPECT_TRUE((*tree)->Create("old"));
}

// The files of a v2 group with all controllers, as plain files: what would be written to them.
TEST(CgroupV2, LimitsAreWrittenInTheKernelsUnits) {
  TemporaryFolder folder;
  auto tree = OpenCgroupV2Tree(folder.path(), "tree");
  ASSERT_TRUE(tree);
  auto group = (*tree)->Create("one");
  ASSERT_TRUE(group);
  const auto path = folder.path() / "tree" / "one";
  const auto put = [&path](const char* file, const char* text) {
    ASSERT_TRUE(WriteFileAtomically(path / file, text));
  };
  for (const char* file :
       {"memory.max", "memory.oom.group", "memory.swap.max", "pids.max", "cpu.max", "cpu.weight"}) {
    put(file, "");
  }
  ASSERT_TRUE((*group)->SetLimits(
      {.memory_bytes = 1u << 20, .pids = 7, .cpu_cores = 1.5, .cpu_weight_percent = 25}));
  EXPECT_EQ(*ReadFile(path / "memory.max"), "1048576");
  EXPECT_EQ(*ReadFile(path / "memory.swap.max"), "0");
  EXPECT_EQ(*ReadFile(path / "memory.oom.group"), "1");
  EXPECT_EQ(*ReadFile(path / "pids.max"), "7");
  EXPECT_EQ(*ReadFile(path / "cpu.max"), "150000 100000");
  EXPECT_EQ(*ReadFile(path / "cpu.weight"), "25");
  put("memory.current", "4096\n");
  put("memory.peak", "8192\n");
  put("cpu.stat", "usage_usec 1500\nuser_usec 1000\n");
  put("pids.current", "3\n");
  put("memory.events", "low 0\noom 2\noom_kill 1\n");
  const auto usage = (*group)->Usage();
  ASSERT_TRUE(usage);
  EXPECT_EQ(usage->memory_bytes, 4096u);
  EXPECT_EQ(usage->peak_memory_bytes, 8192u);
  EXPECT_EQ(usage->cpu_time, std::chrono::microseconds(1500));
  EXPECT_EQ(usage->processes, 3u);
  EXPECT_EQ((*group)->OomKills(), 1u);
  std::filesystem::remove_all(path);
}

TEST(Seccomp, EveryFilterCompilesAndIsShortEnough) {
  for (const Filter filter : {Filter::kContainer, Filter::kProgram, Filter::kExecutor, Filter::kJob,
                              Filter::kUnpack, Filter::kServer}) {
    const auto program = CompileFilter(filter);
    ASSERT_TRUE(program) << program.error().message;
    EXPECT_LT(program->size(), 1000u);
  }
}

// Reaps what this process inherits from those that die, until there is nothing more; false if
// something lives on, which is then killed.
bool EveryoneEnds() {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  while (std::chrono::steady_clock::now() < deadline) {
    const pid_t ended = ::waitpid(-1, nullptr, WNOHANG);
    if (ended < 0) return true;
    if (ended == 0) std::this_thread::yield();
  }
  const auto left = ReadFile("/proc/thread-self/children");
  std::istringstream pids(left ? *left : std::string());
  for (pid_t pid = 0; pids >> pid;) ::kill(pid, SIGKILL);
  while (::waitpid(-1, nullptr, 0) > 0) {
  }
  return false;
}

TEST(IdRanges, ProcessKilledWhileItMakesOneLeavesNoChild) {
  if (::geteuid() != 0) GTEST_SKIP() << "mapping other users needs root";
  ASSERT_EQ(::prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
  for (int i = 0; i < 50; ++i) {
    auto maker = Clone({}, [] {
      while (MakeMapNamespace({kOwnerBase, kRangeBase, 1})) {
      }
      return 0;
    });
    ASSERT_TRUE(maker);
    std::this_thread::sleep_for(std::chrono::microseconds(500 + 97 * i));  // Anywhere in its work.
    Kill(*maker);
    ASSERT_TRUE(EveryoneEnds()) << "after kill " << i;
  }
  ::prctl(PR_SET_CHILD_SUBREAPER, 0);
}

TEST(IdRanges, AreDisjointAndLeaveTheOwnersAlone) {
  if (::geteuid() != 0) GTEST_SKIP() << "mapping ranges of users needs root";
  IdRanges ranges;
  auto first = ranges.Take();
  auto second = ranges.Take();
  ASSERT_TRUE(first && second);
  EXPECT_GE(first->base, kOwnerBase + kRangeSize);
  EXPECT_EQ(second->base, first->base + kRangeSize);
  const uint32_t base = first->base;
  ranges.Give(std::move(*first));
  EXPECT_EQ(ranges.Take()->base, base);
}

}  // namespace
}  // namespace hybridserve::sandbox
