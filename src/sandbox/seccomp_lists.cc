// Which system calls each filter allows.
//
// The container list starts from Docker's default profile for a container without capabilities and
// leaves out, beyond it: tracing and reading other processes (ptrace, process_vm_*), io_uring,
// memfd_secret, name_to_handle_at, fanotify, userfaultfd, clock adjustment, address families other
// than unix, inet, inet6 and netlink, prctl operations not named here (among them the one that
// undoes the signal at the launcher's death), and the other architectures' entry points.
//
// The executor's list is what Wasmtime, tokio and a SEQPACKET loop use: no path can be executed,
// no socket made, no process started; files are reached below descriptors.
//
// The server's list is what Asio, SQLite, the resolver and our own files take on top of that:
// stream sockets, UDP for DNS, and paths. It has no namespace around it, so a rule stands in for one: it signals only itself. It
// makes no code: no page becomes executable any more.
#include "sandbox/seccomp_lists.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif

namespace hybridserve::sandbox {
namespace {

// Memory, threads, time, signals to oneself: what every program does.
constexpr const char* kCore[] = {
    "arch_prctl",
    "brk",
    "clock_getres",
    "clock_gettime",
    "clock_nanosleep",
    "exit",
    "exit_group",
    "futex",
    "futex_waitv",
    "get_robust_list",
    "getcpu",
    "getpid",
    "getppid",
    "getrandom",
    "getrlimit",
    "getrusage",
    "gettid",
    "gettimeofday",
    "madvise",
    "membarrier",
    "mincore",
    "mlock",
    "mremap",
    "msync",
    "munlock",
    "munmap",
    "nanosleep",
    "pkey_alloc",
    "pkey_free",
    "restart_syscall",
    "rseq",
    "rt_sigaction",
    "rt_sigpending",
    "rt_sigprocmask",
    "rt_sigreturn",
    "rt_sigsuspend",
    "rt_sigtimedwait",
    "sched_getaffinity",
    "sched_yield",
    "set_robust_list",
    "set_tid_address",
    "sigaltstack",
    "sysinfo",
    "time",
    "times",
    "uname",
};

// What a jail's namespaces and purpose make harmless, and the server has with rules only: any page
// may become code, and any thread of the same PID namespace may be signalled.
constexpr const char* kJailed[] = {"mmap", "mprotect", "pkey_mprotect", "tgkill"};

// Descriptors that are open already.
constexpr const char* kDescriptors[] = {
    "close",
    "close_range",
    "dup",
    "dup2",
    "dup3",
    "epoll_create",
    "epoll_create1",
    "epoll_ctl",
    "epoll_pwait",
    "epoll_pwait2",
    "epoll_wait",
    "eventfd",
    "eventfd2",
    "fadvise64",
    "fallocate",
    "fcntl",
    "fdatasync",
    "fstat",
    "fstatfs",
    "fsync",
    "ftruncate",
    "lseek",
    "memfd_create",
    "pipe",
    "pipe2",
    "poll",
    "ppoll",
    "pread64",
    "preadv",
    "preadv2",
    "pselect6",
    "pwrite64",
    "pwritev",
    "pwritev2",
    "read",
    "readv",
    "select",
    "sync_file_range",
    "timerfd_create",
    "timerfd_gettime",
    "timerfd_settime",
    "write",
    "writev",
};

// Files by path. In an executor's empty mount tree only those below a descriptor exist.
constexpr const char* kPathsAt[] = {
    "faccessat", "faccessat2", "fchmod",    "getcwd",   "getdents64", "linkat",
    "mkdirat",   "newfstatat", "openat",    "openat2",  "readlinkat", "renameat",
    "renameat2", "statx",      "symlinkat", "unlinkat", "utimensat",
};

// The same by older names, and paths from a folder that is given as a descriptor: WasmEdge's compiler
// works on files, and LLVM in it knows no others.
constexpr const char* kOldPaths[] = {"access", "fchdir", "rename", "rmdir", "unlink"};

// Datagrams on sockets that are open already.
constexpr const char* kDatagrams[] = {
    "getsockopt", "recvfrom", "recvmsg", "sendmsg", "sendto", "shutdown",
};

// What an unpacker sets on files, beyond kPathsAt.
constexpr const char* kOwnership[] = {
    "chdir",      "chmod",        "chown",     "copy_file_range", "fchdir",
    "fchmodat",   "fchmodat2",    "fchown",    "fchownat",        "fgetxattr",
    "flistxattr", "fremovexattr", "fsetxattr", "futimesat",       "getegid",
    "geteuid",    "getgid",       "getuid",    "getxattr",        "lchown",
    "lgetxattr",  "link",         "listxattr", "llistxattr",      "lremovexattr",
    "lsetxattr",  "lstat",        "mkdir",     "mkdirat",         "open",
    "readlink",   "removexattr",  "rename",    "rmdir",           "setxattr",
    "stat",       "statfs",       "symlink",   "syncfs",          "truncate",
    "umask",      "unlink",       "utime",     "utimes",
};

// The rest of what a container's program may do.
constexpr const char* kContainerOnly[] = {
    "accept",
    "accept4",
    "access",
    "alarm",
    "bind",
    "cachestat",
    "capget",
    "capset",
    "connect",
    "creat",
    "execve",
    "execveat",
    "flock",
    "fork",
    "futex_requeue",
    "futex_wait",
    "futex_wake",
    "get_thread_area",
    "getdents",
    "getgroups",
    "getitimer",
    "getpeername",
    "getpgid",
    "getpgrp",
    "getpriority",
    "getresgid",
    "getresuid",
    "getsid",
    "getsockname",
    "inotify_add_watch",
    "inotify_init",
    "inotify_init1",
    "inotify_rm_watch",
    "io_cancel",
    "io_destroy",
    "io_getevents",
    "io_pgetevents",
    "io_setup",
    "io_submit",
    "ioctl",
    "ioprio_get",
    "ioprio_set",
    "kill",
    "landlock_add_rule",
    "landlock_create_ruleset",
    "landlock_restrict_self",
    "listen",
    "map_shadow_stack",
    "mknod",
    "mknodat",
    "mlock2",
    "mlockall",
    "mq_getsetattr",
    "mq_notify",
    "mq_open",
    "mq_timedreceive",
    "mq_timedsend",
    "mq_unlink",
    "msgctl",
    "msgget",
    "msgrcv",
    "msgsnd",
    "munlockall",
    "pause",
    "pidfd_open",
    "pidfd_send_signal",
    "prlimit64",
    "process_mrelease",
    "readahead",
    "recvmmsg",
    "rt_sigqueueinfo",
    "rt_tgsigqueueinfo",
    "sched_get_priority_max",
    "sched_get_priority_min",
    "sched_getattr",
    "sched_getparam",
    "sched_getscheduler",
    "sched_rr_get_interval",
    "sched_setaffinity",
    "sched_setattr",
    "sched_setparam",
    "sched_setscheduler",
    "seccomp",
    "semctl",
    "semget",
    "semop",
    "semtimedop",
    "sendfile",
    "sendmmsg",
    "set_thread_area",
    "setfsgid",
    "setfsuid",
    "setgid",
    "setgroups",
    "setitimer",
    "setpgid",
    "setpriority",
    "setregid",
    "setresgid",
    "setresuid",
    "setreuid",
    "setrlimit",
    "setsid",
    "setsockopt",
    "setuid",
    "shmat",
    "shmctl",
    "shmdt",
    "shmget",
    "signalfd",
    "signalfd4",
    "socketpair",
    "splice",
    "sync",
    "syncfs",
    "tee",
    "timer_create",
    "timer_delete",
    "timer_getoverrun",
    "timer_gettime",
    "timer_settime",
    "tkill",
    "vfork",
    "vmsplice",
    "wait4",
    "waitid",
};

// What the server does beyond an executor: sockets, and files by path.
constexpr const char* kServerOnly[] = {
    "accept",     "accept4",     "access",      "bind",   "chmod",  "connect", "fchmodat",
    "flock",      "getegid",     "geteuid",     "getgid", "getuid", "listen",  "lstat",
    "getdents",   "getpeername", "getsockname", "mkdir",  "open",   "rename",  "rmdir",
    "setsockopt", "stat",        "readlink",    "statfs", "umask",  "unlink",  "sendmmsg",
};

// Between a jailed program's exec and the end of its Lockdown().
constexpr const char* kLockdown[] = {"pivot_root", "umount2"};

// prctl takes an int: comparing all 64 bits refuses a number hidden behind high bits.
constexpr int kContainerPrctl[] = {
    PR_GET_PDEATHSIG,
    PR_GET_DUMPABLE,
    PR_SET_DUMPABLE,
    PR_GET_KEEPCAPS,
    PR_SET_KEEPCAPS,
    PR_SET_NAME,
    PR_GET_NAME,
    PR_GET_SECCOMP,
    PR_SET_SECCOMP,
    PR_CAPBSET_READ,
    PR_CAPBSET_DROP,
    PR_GET_SECUREBITS,
    PR_SET_TIMERSLACK,
    PR_GET_TIMERSLACK,
    PR_SET_CHILD_SUBREAPER,
    PR_GET_CHILD_SUBREAPER,
    PR_SET_NO_NEW_PRIVS,
    PR_GET_NO_NEW_PRIVS,
    PR_GET_TID_ADDRESS,
    PR_SET_THP_DISABLE,
    PR_GET_THP_DISABLE,
    PR_CAP_AMBIENT,
    PR_GET_SPECULATION_CTRL,
    PR_SET_SPECULATION_CTRL,
    PR_SET_PTRACER,
    PR_SET_VMA,
};

constexpr uint64_t kNamespaceFlags = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
                                     CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP;

scmp_arg_cmp Equals(unsigned index, uint64_t value) {
  return scmp_arg_cmp{index, SCMP_CMP_EQ, value, 0};
}
scmp_arg_cmp Masked(unsigned index, uint64_t mask, uint64_t value) {
  return scmp_arg_cmp{index, SCMP_CMP_MASKED_EQ, mask, value};
}

std::vector<ArgumentRule> ContainerRules() {
  std::vector<ArgumentRule> rules;
  rules.push_back({"clone", {Masked(0, kNamespaceFlags, 0)}});
  for (const int family : {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK}) {
    rules.push_back({"socket", {Equals(0, static_cast<uint64_t>(family))}});
  }
  // PER_LINUX, PER_LINUX32 and the same with UNAME26; 0xffffffff asks.
  for (const uint64_t persona : {0x0ull, 0x8ull, 0x20000ull, 0x20008ull, 0xffffffffull}) {
    rules.push_back({"personality", {Equals(0, persona)}});
  }
  for (const int option : kContainerPrctl) {
    rules.push_back({"prctl", {Equals(0, static_cast<uint64_t>(option))}});
  }
  return rules;
}

std::vector<ArgumentRule> ConfinedRules() {
  std::vector<ArgumentRule> rules;
  rules.push_back({"clone", {Masked(0, kNamespaceFlags | CLONE_THREAD, CLONE_THREAD)}});
  rules.push_back({"socketpair", {Equals(0, AF_UNIX)}});
  rules.push_back({"prctl", {Equals(0, PR_SET_NAME)}});
  rules.push_back({"prctl", {Equals(0, PR_GET_NAME)}});
  rules.push_back({"prctl", {Equals(0, PR_SET_VMA)}});
  rules.push_back({"prlimit64", {Equals(2, 0)}});
  constexpr uint64_t kPagemapScan = 0xc0606610;  // Wasmtime asks which pages a guest has touched.
  for (const uint64_t request : {uint64_t{FIONBIO}, uint64_t{FIONREAD}, uint64_t{FIOCLEX},
                                 uint64_t{TCGETS}, uint64_t{TIOCGWINSZ}, kPagemapScan}) {
    rules.push_back({"ioctl", {Equals(1, request)}});
  }
  return rules;
}

// An executor also lowers the priority of its own threads; RLIMIT_NICE keeps it from raising any.
std::vector<ArgumentRule> ExecutorRules() {
  std::vector<ArgumentRule> rules = ConfinedRules();
  rules.push_back({"getpriority", {Equals(0, PRIO_PROCESS)}});
  rules.push_back({"setpriority", {Equals(0, PRIO_PROCESS)}});
  return rules;
}

std::vector<ArgumentRule> ServerRules() {
  std::vector<ArgumentRule> rules = ConfinedRules();
  constexpr uint64_t kSocketFlags = SOCK_CLOEXEC | SOCK_NONBLOCK;
  for (const int family : {AF_UNIX, AF_INET, AF_INET6}) {
    rules.push_back(
        {"socket",
         {Equals(0, static_cast<uint64_t>(family)), Masked(1, ~kSocketFlags, SOCK_STREAM)}});
  }
  for (const int family : {AF_INET, AF_INET6}) {
    rules.push_back(
        {"socket",
         {Equals(0, static_cast<uint64_t>(family)), Masked(1, ~kSocketFlags, SOCK_DGRAM),
          Equals(2, 0)}});
  }
  rules.push_back({"tgkill", {Equals(0, static_cast<uint64_t>(::getpid()))}});
  rules.push_back({"mmap", {Masked(2, PROT_EXEC, 0)}});
  rules.push_back({"mprotect", {Masked(2, PROT_EXEC, 0)}});
  return rules;
}

}  // namespace

std::vector<std::span<const char* const>> AllowedCalls(Filter filter) {
  switch (filter) {
    case Filter::kContainer:
      return {kCore, kJailed, kDescriptors, kPathsAt, kDatagrams, kOwnership, kContainerOnly};
    case Filter::kProgram:
      return {kCore,      kJailed,    kDescriptors,   kPathsAt,
              kDatagrams, kOwnership, kContainerOnly, kLockdown};
    case Filter::kExecutor:
      return {kCore, kJailed, kDescriptors, kPathsAt, kOldPaths, kDatagrams};
    case Filter::kJob:
      return {kCore, kJailed, kDescriptors, kPathsAt, kOldPaths};
    case Filter::kUnpack:
      return {kCore, kJailed, kDescriptors, kPathsAt, kOwnership};
    case Filter::kServer:
      return {kCore, kDescriptors, kPathsAt, kDatagrams, kServerOnly};
  }
  return {};
}

std::vector<ArgumentRule> AllowedWithArguments(Filter filter) {
  if (filter == Filter::kServer) return ServerRules();
  if (filter == Filter::kExecutor) return ExecutorRules();
  const bool container = filter == Filter::kContainer || filter == Filter::kProgram;
  return container ? ContainerRules() : ConfinedRules();
}

}  // namespace hybridserve::sandbox
