// What each profile allows and refuses, tried from inside a process that is locked down.
#include "sandbox/lockdown.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <functional>
#include <string>
#include <thread>

#include "base/file.h"
#include "sandbox/process.h"

namespace hybridserve::sandbox {
namespace {

// Runs `body` in a child; its exit status.
int InChild(const std::function<int()>& body) {
  const auto child = Clone({}, body);
  return child ? Reap(*child) : -1;
}

// Without a prepared jail; each case is a child of its own.
struct LockdownCase {
  std::string name;
  Profile profile;
  long (*call)();
  int want;  ///< errno, or 0 for success.
};

long TrySocket() { return ::socket(AF_INET, SOCK_STREAM, 0); }
long TryUnixSocket() { return ::socket(AF_UNIX, SOCK_STREAM, 0); }
long TryExec() { return ::execl("/bin/true", "true", nullptr); }
long TryFork() { return ::fork(); }
long TryThread() {
  std::thread([] {}).join();
  return 0;
}
long TryMap() {
  void* page = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return page == MAP_FAILED ? -1 : ::mprotect(page, 4096, PROT_READ | PROT_EXEC);
}
long TryPtrace() { return ::syscall(SYS_ptrace, 0, 0, 0, 0); }
long TryKill() { return ::kill(::getppid(), 0); }
long TryDatagram() {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds) != 0) return -1;
  return ::send(fds[0], "x", 1, 0);
}
long TryChown() { return ::fchown(0, 0, 0) == 0 || errno != EPERM ? 0 : -1; }
long TryRaiseLimit() {
  const unsigned long limit[2] = {1, 1};
  return ::syscall(SYS_prlimit64, 0, 7, limit, nullptr);
}
long TryKeepPrivileges() { return ::prctl(PR_SET_DUMPABLE, 1); }
long TryLowPriority() { return ::setpriority(PRIO_PROCESS, 0, 19); }
long TryHighPriority() { return ::setpriority(PRIO_PROCESS, 0, -5); }
long TryLowerUser() { return ::setpriority(PRIO_USER, 0, 19); }
long TryUnshare() { return ::syscall(SYS_unshare, 0x10000000); }

long TryTcpConnection() {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* any = reinterpret_cast<sockaddr*>(&address);
  if (::bind(listener, any, size) != 0 || ::listen(listener, 1) != 0) return -1;
  if (::getsockname(listener, any, &size) != 0) return -1;
  const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (::connect(client, any, size) != 0 && errno != EINPROGRESS) return -1;
  return ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
}
long TryRawSocket() { return ::socket(AF_INET, SOCK_RAW, IPPROTO_ICMP); }
long TryUdpSocket() { return ::socket(AF_INET, SOCK_DGRAM, 0); }
long TryIcmpSocket() { return ::socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP); }
long TryPacketSocket() { return ::socket(AF_PACKET, SOCK_STREAM, 0); }
long TryNetlink() { return ::socket(AF_NETLINK, SOCK_RAW, 0); }
long TrySignalSelf() { return ::syscall(SYS_tgkill, ::getpid(), ::gettid(), 0); }
long TrySignalParent() { return ::syscall(SYS_tgkill, ::getppid(), ::getppid(), 0); }
long TryQueueSignal() {
  siginfo_t info{};
  return ::syscall(SYS_rt_sigqueueinfo, ::getppid(), 0, &info);
}
long TryPidfdSignal() { return ::syscall(SYS_pidfd_send_signal, -1, 0, nullptr, 0); }
long TryPidfdGetfd() { return ::syscall(SYS_pidfd_getfd, -1, 0, 0); }
long TryCodePage() {
  return ::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
                 MAP_FAILED
             ? -1
             : 0;
}
long TryMemory() {
  void* page = ::mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return page == MAP_FAILED ? -1 : ::mprotect(page, 4096, PROT_READ | PROT_WRITE);
}
long TryFiles() {
  const TemporaryFolder folder;
  const auto file = folder.path() / "file";
  if (!WriteFileAtomically(file, "x") || ::chmod(file.c_str(), 0600) != 0) return -1;
  const UniqueFd fd(::open(file.c_str(), O_RDWR | O_CLOEXEC));
  struct flock lock {};
  lock.l_type = F_WRLCK;
  return ::fcntl(fd.get(), F_SETLK, &lock) == 0 && ::fsync(fd.get()) == 0 ? 0 : -1;
}

// Each is tried with arguments that the kernel itself would refuse in another way.
constexpr int kNotTheServers[] = {
#if defined(__x86_64__)
    SYS_fork,
    SYS_vfork,
    SYS_mknod,
    SYS_chown,
    SYS_iopl,
    SYS_ioperm,
#endif
    SYS_execve,
    SYS_execveat,
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_kill,
    SYS_tkill,
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_chroot,
    SYS_fsopen,
    SYS_fsmount,
    SYS_move_mount,
    SYS_open_tree,
    SYS_mount_setattr,
    SYS_unshare,
    SYS_setns,
    SYS_bpf,
    SYS_perf_event_open,
    SYS_add_key,
    SYS_request_key,
    SYS_keyctl,
    SYS_io_uring_setup,
    SYS_io_uring_enter,
    SYS_io_uring_register,
    SYS_userfaultfd,
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_kexec_load,
    SYS_mknodat,
    SYS_setuid,
    SYS_setgid,
    SYS_setreuid,
    SYS_setregid,
    SYS_setresuid,
    SYS_setresgid,
    SYS_setfsuid,
    SYS_setfsgid,
    SYS_setgroups,
    SYS_capset,
    SYS_personality,
    SYS_name_to_handle_at,
    SYS_open_by_handle_at,
    SYS_reboot,
    SYS_swapon,
    SYS_syslog,
    SYS_sethostname,
    SYS_settimeofday,
    SYS_clock_settime,
    SYS_adjtimex,
    SYS_acct,
    SYS_quotactl,
    SYS_fanotify_init,
    SYS_seccomp,
    SYS_pidfd_open,
    SYS_pkey_mprotect,
    SYS_shmget,
    SYS_msgget,
    SYS_mq_open,
    SYS_fchown,
    SYS_setxattr,
    SYS_memfd_secret};
// Fails, as it should, when each of them does.
long TryAllThatTheServerLacks() {
  for (const int number : kNotTheServers) {
    errno = 0;
    if (::syscall(number, -1L, -1L, -1L, -1L, -1L, -1L) >= 0 || errno != EPERM) {
      (void)std::fprintf(stderr, "system call %d: %s\n", number, std::strerror(errno));
      return 0;
    }
  }
  return -1;
}

class LockdownTest : public testing::TestWithParam<LockdownCase> {};

TEST_P(LockdownTest, AllowsWhatTheProfileNeedsAndNothingElse) {
  const LockdownCase& one = GetParam();
  const int status = InChild([&one] {
    if (!Lockdown(one.profile)) return 255;
    errno = 0;
    return one.call() < 0 ? errno : 0;
  });
  EXPECT_EQ(status, one.want);
}

INSTANTIATE_TEST_SUITE_P(
    Lockdown, LockdownTest,
    testing::Values(
        LockdownCase{"ExecutorHasNoSockets", Profile::kExecutor, TrySocket, EPERM},
        LockdownCase{"ExecutorHasNoUnixSockets", Profile::kExecutor, TryUnixSocket, EPERM},
        LockdownCase{"ExecutorRunsNoProgram", Profile::kExecutor, TryExec, EPERM},
        LockdownCase{"ExecutorStartsNoProcess", Profile::kExecutor, TryFork, EPERM},
        LockdownCase{"ExecutorTracesNothing", Profile::kExecutor, TryPtrace, EPERM},
        LockdownCase{"ExecutorSignalsNobody", Profile::kExecutor, TryKill, EPERM},
        LockdownCase{"ExecutorRaisesNoLimit", Profile::kExecutor, TryRaiseLimit, EPERM},
        LockdownCase{"ExecutorStaysUndumpable", Profile::kExecutor, TryKeepPrivileges, EPERM},
        LockdownCase{"ExecutorLowersItsPriority", Profile::kExecutor, TryLowPriority, 0},
        LockdownCase{"ExecutorRaisesNoPriority", Profile::kExecutor, TryHighPriority, EACCES},
        LockdownCase{"ExecutorLowersNoUser", Profile::kExecutor, TryLowerUser, EPERM},
        LockdownCase{"ExecutorMakesNoNamespace", Profile::kExecutor, TryUnshare, EPERM},
        LockdownCase{"ExecutorStartsThreads", Profile::kExecutor, TryThread, 0},
        LockdownCase{"ExecutorMapsCode", Profile::kExecutor, TryMap, 0},
        LockdownCase{"ExecutorSendsDatagrams", Profile::kExecutor, TryDatagram, 0},
        LockdownCase{"JobSendsNone", Profile::kJob, TryDatagram, EPERM},
        LockdownCase{"JobStartsThreads", Profile::kJob, TryThread, 0},
        LockdownCase{"JobChangesNoOwner", Profile::kJob, TryChown, EPERM},
        LockdownCase{"UnpackMayChangeOwners", Profile::kUnpack, TryChown, 0},
        LockdownCase{"UnpackHasNoSockets", Profile::kUnpack, TrySocket, EPERM},
        LockdownCase{"ServerListensAndConnects", Profile::kServer, TryTcpConnection, 0},
        LockdownCase{"ServerHasUnixSockets", Profile::kServer, TryUnixSocket, 0},
        LockdownCase{"ServerHasNoRawSockets", Profile::kServer, TryRawSocket, EPERM},
        LockdownCase{"ServerAsksDnsByUdp", Profile::kServer, TryUdpSocket, 0},
        LockdownCase{"ServerHasNoOtherDatagrams", Profile::kServer, TryIcmpSocket, EPERM},
        LockdownCase{"ServerHasNoPacketSockets", Profile::kServer, TryPacketSocket, EPERM},
        LockdownCase{"ServerHasNoNetlink", Profile::kServer, TryNetlink, EPERM},
        LockdownCase{"ServerSendsDatagrams", Profile::kServer, TryDatagram, 0},
        LockdownCase{"ServerStartsThreads", Profile::kServer, TryThread, 0},
        LockdownCase{"ServerUsesFiles", Profile::kServer, TryFiles, 0},
        LockdownCase{"ServerHasMemory", Profile::kServer, TryMemory, 0},
        LockdownCase{"ServerMakesNoCode", Profile::kServer, TryMap, EPERM},
        LockdownCase{"ServerMapsNoCode", Profile::kServer, TryCodePage, EPERM},
        LockdownCase{"ServerMayAbort", Profile::kServer, TrySignalSelf, 0},
        LockdownCase{"ServerSignalsNoThreadOfOthers", Profile::kServer, TrySignalParent, EPERM},
        LockdownCase{"ServerKillsNobody", Profile::kServer, TryKill, EPERM},
        LockdownCase{"ServerQueuesNoSignal", Profile::kServer, TryQueueSignal, EPERM},
        LockdownCase{"ServerSignalsNoPidfd", Profile::kServer, TryPidfdSignal, EPERM},
        LockdownCase{"ServerTakesNoDescriptorsOfOthers", Profile::kServer, TryPidfdGetfd, EPERM},
        LockdownCase{"ServerStartsNoProcess", Profile::kServer, TryFork, EPERM},
        LockdownCase{"ServerRunsNoProgram", Profile::kServer, TryExec, EPERM},
        LockdownCase{"ServerRaisesNoLimit", Profile::kServer, TryRaiseLimit, EPERM},
        LockdownCase{"ServerStaysAsItIs", Profile::kServer, TryKeepPrivileges, EPERM},
        LockdownCase{"ServerHasNoneOfTheRest", Profile::kServer, TryAllThatTheServerLacks, EPERM}),
    [](const auto& instance) { return instance.param.name; });

TEST(Lockdown, LeavesNoCapability) {
  const int status = InChild([] {
    if (!Lockdown(Profile::kExecutor)) return 1;
    const auto text = ReadFile("/proc/self/status");
    return text && text->find("CapEff:\t0000000000000000") != std::string::npos ? 0 : 2;
  });
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace hybridserve::sandbox
