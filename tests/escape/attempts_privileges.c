// Attempts to get another user, capabilities, priority or namespaces.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/nsfs.h>
#include <linux/securebits.h>
#include <linux/sockios.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "judge.h"

#define UNSHARE(function, flag) \
  static void function(struct Finding* finding) { JudgeCall(finding, syscall(SYS_unshare, flag)); }

UNSHARE(UnshareUser, CLONE_NEWUSER)
UNSHARE(UnshareMount, CLONE_NEWNS)
UNSHARE(UnsharePid, CLONE_NEWPID)
UNSHARE(UnshareNetwork, CLONE_NEWNET)
UNSHARE(UnshareUts, CLONE_NEWUTS)
UNSHARE(UnshareIpc, CLONE_NEWIPC)
UNSHARE(UnshareCgroup, CLONE_NEWCGROUP)
UNSHARE(UnshareTime, 0x80 /* CLONE_NEWTIME */)

static void CloneUser(struct Finding* finding) {
  const long child = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
  if (child == 0) _exit(0);
  JudgeCall(finding, child);
}

static void CloneMount(struct Finding* finding) {
  const long child = syscall(SYS_clone, CLONE_NEWNS | SIGCHLD, 0, 0, 0, 0);
  if (child == 0) _exit(0);
  JudgeCall(finding, child);
}

static long Clone3(unsigned long long flags, int cgroup) {
  unsigned long long arguments[11] = {
      [0] = flags, [4] = SIGCHLD, [10] = (unsigned long long)cgroup};
  const long child = syscall(SYS_clone3, arguments, sizeof(arguments));
  if (child == 0) _exit(0);
  return child;
}

static void Clone3User(struct Finding* finding) { JudgeCall(finding, Clone3(CLONE_NEWUSER, 0)); }

static void Clone3IntoCgroup(struct Finding* finding) {
  static const char* const kTrees[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
  for (size_t i = 0; i < 2; ++i) {
    const int cgroup = open(kTrees[i], O_RDONLY | O_DIRECTORY);
    JudgeAlso(finding, kTrees[i],
              Clone3(0x200000000ull /* CLONE_INTO_CGROUP */, cgroup < 0 ? 0 : cgroup));
    if (cgroup >= 0) close(cgroup);
  }
}

// Into the namespaces of a pid of the host.
static void SetnsOf(struct Finding* finding, int pid) {
  static const char* const kNames[] = {"user", "mnt", "pid", "net", "uts", "ipc", "cgroup", "time"};
  for (size_t i = 0; i < sizeof(kNames) / sizeof(kNames[0]); ++i) {
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, kNames[i]);
    const int fd = open(path, O_RDONLY);
    JudgeAlso(finding, path, fd < 0 ? -1 : syscall(SYS_setns, fd, 0));
  }
}

static void Setns(struct Finding* finding) {
  SetnsOf(finding, 1);
  ForEachPid(finding, SetnsOf);
}

// The namespaces around one's own, asked for by their children.
static void NamespaceParents(struct Finding* finding) {
  static const char* const kNames[] = {"user", "pid"};
  for (size_t i = 0; i < 2; ++i) {
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/ns/%s", kNames[i]);
    const int own = open(path, O_RDONLY);
    JudgeAlso(finding, path, own < 0 ? -1 : ioctl(own, NS_GET_PARENT));
  }
}

static void NamespaceOwner(struct Finding* finding) {
  const int own = open("/proc/self/ns/user", O_RDONLY);
  JudgeCall(finding, own < 0 ? -1 : ioctl(own, NS_GET_USERNS));
}

static void NamespaceOfSocket(struct Finding* finding) {
  const int own = socket(AF_INET, SOCK_DGRAM, 0);
  JudgeCall(finding, own < 0 ? -1 : ioctl(own, SIOCGSKNS));
}

const struct Attempt kNamespaceAttempts[] = {
    {"namespaces.unshare_user", UnshareUser},
    {"namespaces.unshare_mount", UnshareMount},
    {"namespaces.unshare_pid", UnsharePid},
    {"namespaces.unshare_network", UnshareNetwork},
    {"namespaces.unshare_uts", UnshareUts},
    {"namespaces.unshare_ipc", UnshareIpc},
    {"namespaces.unshare_cgroup", UnshareCgroup},
    {"namespaces.unshare_time", UnshareTime},
    {"namespaces.clone_user", CloneUser},
    {"namespaces.clone_mount", CloneMount},
    {"namespaces.clone3_user", Clone3User},
    {"namespaces.clone3_into_cgroup", Clone3IntoCgroup},
    {"namespaces.setns", Setns},
    {"namespaces.ioctl_parent", NamespaceParents},
    {"namespaces.ioctl_owner", NamespaceOwner},
    {"namespaces.ioctl_of_socket", NamespaceOfSocket},
    {NULL, NULL},
};

#define CALL(function, ...) \
  static void function(struct Finding* finding) { JudgeCall(finding, syscall(__VA_ARGS__)); }

CALL(Setuid, SYS_setuid, 12345)
CALL(Setresuid, SYS_setresuid, 12345, 12345, 0)
CALL(Setgid, SYS_setgid, 12345)
CALL(Setfsuid, SYS_setresuid, -1, 1, -1)

static void Setgroups(struct Finding* finding) {
  const gid_t groups[] = {0, 6};  // "disk"
  JudgeCall(finding, syscall(SYS_setgroups, 2, groups));
}

static void Capset(struct Finding* finding) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2];
  for (int bit = 0; bit <= CAP_LAST_CAP; ++bit) {
    memset(data, 0, sizeof(data));
    data[bit / 32].permitted = data[bit / 32].effective = 1u << (bit % 32);
    char name[32];
    snprintf(name, sizeof(name), "capability %d", bit);
    JudgeAlso(finding, name, syscall(SYS_capset, &header, data));
  }
}

static void AmbientRaise(struct Finding* finding) {
  JudgeCall(finding, prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SYS_ADMIN, 0, 0));
}

static void Securebits(struct Finding* finding) {
  JudgeCall(finding, prctl(PR_SET_SECUREBITS, SECBIT_KEEP_CAPS | SECBIT_NO_SETUID_FIXUP, 0, 0, 0));
}

// A set-user-id program gains nothing where no_new_privs is set, and that cannot be taken back.
static void SetuidProgram(struct Finding* finding) {
  const int set = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
  const long back = prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0);
  if (back >= 0) return Escaped(finding, "no_new_privs could be taken back");
  if (set == 0) return Escaped(finding, "no_new_privs is not set");
  Held(finding, "no_new_privs");
}

// Not to die with the launcher.
static void ParentDeathSignal(struct Finding* finding) {
  JudgeCall(finding, syscall(SYS_prctl, PR_SET_PDEATHSIG, 0, 0, 0, 0));
  JudgeAlso(finding, "by high bits",
            syscall(SYS_prctl, (1ul << 32) | PR_SET_PDEATHSIG, 0, 0, 0, 0));
}

static void PrctlMm(struct Finding* finding) {
  JudgeCallOr(finding, syscall(SYS_prctl, PR_SET_MM, PR_SET_MM_ARG_START, 0, 0, 0), EINVAL, -1);
}

// 2: a core that only root can read. That is for set-user-id programs.
static void DumpableAsRoot(struct Finding* finding) {
  JudgeCall(finding, prctl(PR_SET_DUMPABLE, 2, 0, 0, 0));
}

static void NiceBelowZero(struct Finding* finding) {
  JudgeCall(finding, setpriority(PRIO_PROCESS, 0, -1));
}

static void RealTime(struct Finding* finding) {
  const struct sched_param parameters = {.sched_priority = 1};
  JudgeCall(finding, syscall(SYS_sched_setscheduler, 0, SCHED_FIFO, &parameters));
  JudgeAlso(finding, "round robin", syscall(SYS_sched_setscheduler, 0, SCHED_RR, &parameters));
}

static void Deadline(struct Finding* finding) {
  const struct {
    unsigned size, policy;
    unsigned long long flags;
    int nice;
    unsigned priority;
    unsigned long long runtime, deadline, period;
  } attributes = {48, 6 /* SCHED_DEADLINE */, 0, 0, 0, 1000000, 10000000, 10000000};
  JudgeCall(finding, syscall(SYS_sched_setattr, 0, &attributes, 0));
}

static void IoPriority(struct Finding* finding) {
  JudgeCall(finding, syscall(SYS_ioprio_set, 1 /* a process */, 0, 1 << 13 /* real time */));
}

static void RaiseLimits(struct Finding* finding) {
  for (int resource = 0; resource < RLIMIT_NLIMITS; ++resource) {
    struct rlimit limit;
    if (getrlimit((__rlimit_resource_t)resource, &limit) != 0 || limit.rlim_max == RLIM_INFINITY)
      continue;
    ++limit.rlim_max;
    char name[32];
    snprintf(name, sizeof(name), "limit %d", resource);
    JudgeAlso(finding, name, setrlimit((__rlimit_resource_t)resource, &limit));
  }
}

// Below 0 others are killed first. (Back to 0 is not promised against.)
static void OomScore(struct Finding* finding) {
  const int file = open("/proc/self/oom_score_adj", O_WRONLY);
  JudgeCall(finding, file < 0 ? -1 : write(file, "-1", 2));
}

const struct Attempt kPrivilegeAttempts[] = {
    {"privileges.setuid", Setuid},
    {"privileges.setresuid", Setresuid},
    {"privileges.seteuid", Setfsuid},
    {"privileges.setgid", Setgid},
    {"privileges.setgroups", Setgroups},
    {"privileges.capset", Capset},
    {"privileges.ambient_capability", AmbientRaise},
    {"privileges.securebits", Securebits},
    {"privileges.setuid_program", SetuidProgram},
    {"privileges.parent_death_signal", ParentDeathSignal},
    {"privileges.prctl_mm", PrctlMm},
    {"privileges.dumpable_as_root", DumpableAsRoot},
    {"privileges.nice_below_zero", NiceBelowZero},
    {"privileges.real_time", RealTime},
    {"privileges.deadline", Deadline},
    {"privileges.io_priority", IoPriority},
    {"privileges.raise_limits", RaiseLimits},
    {"privileges.oom_score_below_zero", OomScore},
    {NULL, NULL},
};
