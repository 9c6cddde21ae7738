// Attempts on other processes and over sockets.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "judge.h"

// EPERM and ESRCH say no; whatever else fails got as far as the other process.
static void JudgePid(struct Finding* finding, const char* what, long result) {
  const int failed = errno;
  JudgeAlso(finding, what, result >= 0 || failed == EFAULT || failed == EBADF ? 0 : -1);
}

#define ON_PIDS(function, what, call)                                                              \
  static void function##OfPid(struct Finding* finding, int pid) { JudgePid(finding, what, call); } \
  static void function(struct Finding* finding) { ForEachPid(finding, function##OfPid); }

static long Transfer(int call, int pid) {
  char byte = 0;
  struct iovec here = {&byte, 1}, there = {(void*)0x1000, 1};
  return syscall(call, pid, &here, 1, &there, 1, 0);
}

static long OpenOf(int pid, const char* name, int flags) {
  char path[64];
  snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
  const int fd = open(path, flags | O_NONBLOCK);
  if (fd >= 0) close(fd);
  errno = fd < 0 && errno == EFAULT ? EPERM : errno;
  return fd;
}

static long CpuClock(int pid) {
  struct timespec time;
  const long result = syscall(SYS_clock_gettime, (int)((~(unsigned)pid << 3) | 2), &time);
  return result;
}

static long LimitsOf(int pid) {
  struct rlimit limit;
  return syscall(SYS_prlimit64, pid, RLIMIT_NOFILE, NULL, &limit);
}

static long AffinityOf(int pid) {
  unsigned long mask[16];
  return syscall(SYS_sched_getaffinity, pid, sizeof(mask), mask);
}

static long RobustListOf(int pid) {
  void* head;
  size_t size;
  return syscall(SYS_get_robust_list, pid, &head, &size);
}

static long QueueSignal(int pid) {
  siginfo_t info = {.si_signo = SIGUSR1, .si_code = SI_QUEUE};
  return syscall(SYS_rt_sigqueueinfo, pid, SIGUSR1, &info);
}

static long OwnSocketsSignalTo(int pid) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) return -1;
  const long result = fcntl(ends[0], F_SETOWN, pid);
  close(ends[0]);
  close(ends[1]);
  return result;
}

ON_PIDS(Kill, "a signal", kill(pid, SIGUSR1))
ON_PIDS(KillGroup, "a signal to its group", kill(-pid, SIGUSR1))
ON_PIDS(Tgkill, "a signal to a thread", syscall(SYS_tgkill, pid, pid, SIGUSR1))
ON_PIDS(Sigqueue, "a queued signal", QueueSignal(pid))
ON_PIDS(PidfdOpen, "a pidfd", syscall(SYS_pidfd_open, pid, 0))
ON_PIDS(Setown, "owner of a socket's signals", OwnSocketsSignalTo(pid))
ON_PIDS(PtraceAttach, "attached", ptrace(PTRACE_SEIZE, pid, NULL, NULL))
ON_PIDS(ReadMemory, "memory", Transfer(SYS_process_vm_readv, pid))
ON_PIDS(WriteMemory, "memory", Transfer(SYS_process_vm_writev, pid))
ON_PIDS(ProcMem, "/proc/PID/mem", OpenOf(pid, "mem", O_RDONLY))
ON_PIDS(ProcMaps, "/proc/PID/maps", OpenOf(pid, "maps", O_RDONLY))
ON_PIDS(ProcEnviron, "/proc/PID/environ", OpenOf(pid, "environ", O_RDONLY))
ON_PIDS(ProcCmdline, "/proc/PID/cmdline", OpenOf(pid, "cmdline", O_RDONLY))
ON_PIDS(ProcStat, "/proc/PID/stat", OpenOf(pid, "stat", O_RDONLY))
ON_PIDS(ProcRoot, "/proc/PID/root", OpenOf(pid, "root", O_RDONLY | O_DIRECTORY))
ON_PIDS(ProcCwd, "/proc/PID/cwd", OpenOf(pid, "cwd", O_RDONLY | O_DIRECTORY))
ON_PIDS(ProcFd, "/proc/PID/fd", OpenOf(pid, "fd/3", O_RDONLY))
ON_PIDS(Cpu, "CPU time", CpuClock(pid))
ON_PIDS(Limits, "limits", LimitsOf(pid))
ON_PIDS(Affinity, "affinity", AffinityOf(pid))
ON_PIDS(RobustList, "robust list", RobustListOf(pid))
ON_PIDS(Priority, "priority", syscall(SYS_getpriority, PRIO_PROCESS, pid))
ON_PIDS(Session, "session", syscall(SYS_getsid, pid))
ON_PIDS(Kcmp, "kcmp", syscall(SYS_kcmp, pid, getpid(), 0, 0, 0))
ON_PIDS(MovePages, "pages", syscall(SYS_migrate_pages, pid, 8, "\1\0\0\0\0\0\0", "\1\0\0\0\0\0\0"))

// Only what is in the own PID namespace gets it, and ignores it. Whoever runs this looks whether
// its victims live; outside a PID namespace of its own a payload does not get as far as this.
static void KillAll(struct Finding* finding) {
  Held(finding, kill(-1, SIGUSR1) == 0 ? "own processes only" : strerrorname_np(errno));
}

// The process at the other end of a socket, by a descriptor that knows no PID namespace.
static void PeerPidfd(struct Finding* finding) {
  for (int fd = 0; fd < 64; ++fd) {
    int pidfd = -1;
    socklen_t size = sizeof(pidfd);
    if (getsockopt(fd, SOL_SOCKET, 77 /* SO_PEERPIDFD */, &pidfd, &size) != 0) continue;
    JudgeAlso(finding, "a signal by SO_PEERPIDFD",
              syscall(SYS_pidfd_send_signal, pidfd, SIGUSR1, NULL, 0));
    JudgeAlso(finding, "a descriptor by SO_PEERPIDFD", syscall(438 /* pidfd_getfd */, pidfd, 0, 0));
    JudgeAlso(finding, "namespaces by SO_PEERPIDFD", syscall(SYS_setns, pidfd, CLONE_NEWNS));
    close(pidfd);
  }
}

static void PtraceParent(struct Finding* finding) {
  JudgeCall(finding, ptrace(PTRACE_TRACEME, 0, NULL, NULL));
  JudgeAlso(finding, "PID 1", ptrace(PTRACE_SEIZE, 1, NULL, NULL));
}

const struct Attempt kProcessAttempts[] = {
    {"processes.kill", Kill},
    {"processes.kill_group", KillGroup},
    {"processes.kill_all", KillAll},
    {"processes.tgkill", Tgkill},
    {"processes.sigqueue", Sigqueue},
    {"processes.pidfd_open", PidfdOpen},
    {"processes.peer_pidfd", PeerPidfd},
    {"processes.signals_of_a_socket", Setown},
    {"processes.ptrace_self", PtraceParent},
    {"processes.ptrace", PtraceAttach},
    {"processes.process_vm_readv", ReadMemory},
    {"processes.process_vm_writev", WriteMemory},
    {"processes.proc_mem", ProcMem},
    {"processes.proc_maps", ProcMaps},
    {"processes.proc_environ", ProcEnviron},
    {"processes.proc_cmdline", ProcCmdline},
    {"processes.proc_stat", ProcStat},
    {"processes.proc_root", ProcRoot},
    {"processes.proc_cwd", ProcCwd},
    {"processes.proc_fd", ProcFd},
    {"processes.cpu_time", Cpu},
    {"processes.limits", Limits},
    {"processes.affinity", Affinity},
    {"processes.robust_list", RobustList},
    {"processes.priority", Priority},
    {"processes.session", Session},
    {"processes.kcmp", Kcmp},
    {"processes.migrate_pages", MovePages},
    {NULL, NULL},
};

#define SOCKET(function, ...) \
  static void function(struct Finding* finding) { JudgeCall(finding, socket(__VA_ARGS__)); }

SOCKET(RawSocket, AF_INET, SOCK_RAW, IPPROTO_ICMP)
SOCKET(RawSocket6, AF_INET6, SOCK_RAW, IPPROTO_ICMPV6)
SOCKET(PacketSocket, AF_PACKET, SOCK_RAW, 0)
SOCKET(PacketDatagram, AF_PACKET, SOCK_DGRAM, 0)
SOCKET(Vsock, AF_VSOCK, SOCK_STREAM, 0)
SOCKET(Alg, AF_ALG, SOCK_SEQPACKET, 0)
SOCKET(Xdp, 44 /* AF_XDP */, SOCK_RAW, 0)
SOCKET(Bluetooth, AF_BLUETOOTH, SOCK_RAW, 1)
SOCKET(Tipc, AF_TIPC, SOCK_RDM, 0)
SOCKET(Key, AF_KEY, SOCK_RAW, 2)

static long ConnectUnix(const struct sockaddr_un* address, socklen_t size) {
  static const int kTypes[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
  for (size_t i = 0; i < 3; ++i) {
    const int fd = socket(AF_UNIX, kTypes[i] | SOCK_NONBLOCK, 0);
    if (fd < 0) return -1;
    const int done = connect(fd, (const struct sockaddr*)address, size);
    const int failed = errno;
    close(fd);
    errno = failed;
    if (done == 0) return 0;
  }
  return -1;
}

static void AbstractSocket(struct Finding* finding) {
  const char* name = getenv("ESCAPE_ABSTRACT");
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (name == NULL || strlen(name) > 100) return;
  memcpy(address.sun_path + 1, name, strlen(name));
  JudgeCall(finding, ConnectUnix(&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
                                                       strlen(name))));
}

static void ConnectPath(struct Finding* finding, const char* name, const char* path) {
  (void)name;
  static const char* const kWays[] = {"", "/proc/1/root", "/../.."};
  for (size_t i = 0; i < 3; ++i) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(kWays[i]) + strlen(path) >= sizeof(address.sun_path)) continue;
    strcat(strcpy(address.sun_path, kWays[i]), path);
    JudgeAlso(finding, path, ConnectUnix(&address, sizeof(address)));
  }
}

static void AdminSocket(struct Finding* finding) {
  ForEachItem(finding, "ESCAPE_SOCKETS", ':', ConnectPath);
}

static void ConnectTcp(struct Finding* finding, const char* host, const char* port) {
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_port = htons((unsigned short)atoi(port))};
  inet_pton(AF_INET, host, &address.sin_addr);
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  long done = fd < 0 ? -1 : connect(fd, (struct sockaddr*)&address, sizeof(address));
  if (fd >= 0 && done < 0 && errno == EINPROGRESS) {
    struct pollfd ready = {.fd = fd, .events = POLLOUT};
    socklen_t size = sizeof(errno);
    int failed = ETIMEDOUT;
    if (poll(&ready, 1, 500) == 1) getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &size);
    done = failed == 0 ? 0 : -1;
    errno = failed;
  }
  JudgeAlso(finding, host, done);
  if (fd >= 0) close(fd);
}

static void HostPorts(struct Finding* finding) {
  ForEachItem(finding, "ESCAPE_PORTS", ',', ConnectTcp);
}

// Sends one netlink request with `payload` and gives the errno of its answer, 0 for done.
static int AskNetlink(int protocol, int type, int flags, const void* payload, size_t size,
                      char* answer, size_t room) {
  struct {
    struct nlmsghdr head;
    char payload[128];
  } request = {.head = {.nlmsg_len = (unsigned)NLMSG_LENGTH(size),
                        .nlmsg_type = (unsigned short)type,
                        .nlmsg_flags = (unsigned short)(NLM_F_REQUEST | flags)}};
  memcpy(request.payload, payload, size);
  const int fd = socket(AF_NETLINK, SOCK_RAW, protocol);
  if (fd < 0) return errno;
  const struct timeval patience = {.tv_usec = 500000};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
  if (sendto(fd, &request, request.head.nlmsg_len, 0, (struct sockaddr*)&kernel, sizeof(kernel)) <
      0)
    return errno;
  const ssize_t got = recv(fd, answer, room, 0);
  close(fd);
  if (got < (ssize_t)sizeof(struct nlmsghdr)) return ETIMEDOUT;
  const struct nlmsghdr* head = (const struct nlmsghdr*)answer;
  return head->nlmsg_type == NLMSG_ERROR ? -((const struct nlmsgerr*)NLMSG_DATA(head))->error : 0;
}

static void JudgeNetlink(struct Finding* finding, int failed) {
  errno = failed;
  JudgeCallOr(finding, failed == 0 ? 0 : -1, EINVAL, -1);
}

static void NetlinkLink(struct Finding* finding) {
  char answer[4096];
  const struct ifinfomsg down = {.ifi_index = 1, .ifi_change = IFF_UP, .ifi_flags = IFF_UP};
  JudgeNetlink(finding, AskNetlink(NETLINK_ROUTE, RTM_NEWLINK, NLM_F_ACK, &down, sizeof(down),
                                   answer, 4096));
}

static void NetlinkAudit(struct Finding* finding) {
  char answer[4096];
  JudgeNetlink(finding, AskNetlink(NETLINK_AUDIT, AUDIT_GET, NLM_F_ACK, "", 0, answer, 4096));
}

// What a user space helper of the host would take for the kernel's word.
static void NetlinkUevent(struct Finding* finding) {
  const int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_KOBJECT_UEVENT);
  const struct sockaddr_nl all = {.nl_family = AF_NETLINK, .nl_groups = 1};
  static const char kEvent[] =
      "change@/hybridserve-escape\0ACTION=change\0DEVPATH=/hybridserve-escape";
  JudgeCall(finding, fd < 0 ? -1
                            : sendto(fd, kEvent, sizeof(kEvent), 0, (const struct sockaddr*)&all,
                                     sizeof(all)));
}

// The abstract socket's name among those that the kernel lists.
static void NetlinkSockets(struct Finding* finding) {
  static char answer[65536];
  const struct unix_diag_req all = {
      .sdiag_family = AF_UNIX, .udiag_states = ~0u, .udiag_show = UDIAG_SHOW_NAME};
  const int failed = AskNetlink(NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, &all,
                                sizeof(all), answer, sizeof(answer));
  const char* name = getenv("ESCAPE_ABSTRACT");
  if (failed != 0) {
    errno = failed;
    return JudgeCall(finding, -1);
  }
  const int seen = name != NULL && memmem(answer, sizeof(answer), name, strlen(name)) != NULL;
  if (seen) return Escaped(finding, "lists the host's sockets");
  Held(finding, "own sockets only");
}

static void InterfaceFlags(struct Finding* finding) {
  struct ifreq request = {.ifr_name = "lo"};
  const int fd = socket(AF_INET, SOCK_DGRAM, 0);
  if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &request) < 0) return JudgeCall(finding, -1);
  JudgeCall(finding, ioctl(fd, SIOCSIFFLAGS, &request));
}

// Another's pid and user in the credentials of a message.
static void ForgedCredentials(struct Finding* finding) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) != 0) return JudgeCall(finding, -1);
  struct ucred root = {.pid = 1, .uid = 54321, .gid = 54321};
  union {
    char bytes[CMSG_SPACE(sizeof(root))];
    struct cmsghdr align;
  } control;
  struct iovec part = {"x", 1};
  struct msghdr message = {.msg_iov = &part,
                           .msg_iovlen = 1,
                           .msg_control = &control,
                           .msg_controllen = sizeof(control)};
  struct cmsghdr* head = CMSG_FIRSTHDR(&message);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_CREDENTIALS;
  head->cmsg_len = CMSG_LEN(sizeof(root));
  memcpy(CMSG_DATA(head), &root, sizeof(root));
  JudgeCall(finding, sendmsg(ends[0], &message, 0));
  close(ends[0]);
  close(ends[1]);
}

const struct Attempt kNetworkAttempts[] = {
    {"network.raw_socket", RawSocket},
    {"network.raw_socket6", RawSocket6},
    {"network.packet_socket", PacketSocket},
    {"network.packet_datagram", PacketDatagram},
    {"network.vsock", Vsock},
    {"network.alg", Alg},
    {"network.xdp", Xdp},
    {"network.bluetooth", Bluetooth},
    {"network.tipc", Tipc},
    {"network.key", Key},
    {"network.abstract_socket", AbstractSocket},
    {"network.admin_socket", AdminSocket},
    {"network.host_ports", HostPorts},
    {"network.netlink_link", NetlinkLink},
    {"network.netlink_audit", NetlinkAudit},
    {"network.netlink_uevent", NetlinkUevent},
    {"network.netlink_sockets", NetlinkSockets},
    {"network.interface_flags", InterfaceFlags},
    {"network.forged_credentials", ForgedCredentials},
    {NULL, NULL},
};
