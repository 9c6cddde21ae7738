// Attempts by way of files: the kernel's, devices, and those of the host and of others.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "judge.h"

static void MakeNode(struct Finding* finding, const char* name, mode_t kind, unsigned major,
                     unsigned minor) {
  static const char* const kFolders[] = {"/tmp", "/dev", "/dev/shm", "/run", "/", "."};
  for (size_t i = 0; i < sizeof(kFolders) / sizeof(kFolders[0]); ++i) {
    char path[128];
    snprintf(path, sizeof(path), "%s/escape-%s", kFolders[i], name);
    const long made = syscall(SYS_mknodat, AT_FDCWD, path, kind | 0600, makedev(major, minor));
    JudgeAlso(finding, path, made);
    if (made == 0) unlink(path);
  }
}

static void MakeMem(struct Finding* finding) { MakeNode(finding, "mem", S_IFCHR, 1, 1); }
static void MakeKmsg(struct Finding* finding) { MakeNode(finding, "kmsg", S_IFCHR, 1, 11); }
static void MakeDisk(struct Finding* finding) {
  MakeNode(finding, "sda", S_IFBLK, 8, 0);
  MakeNode(finding, "vda", S_IFBLK, 254, 0);
}
static void MakeKvm(struct Finding* finding) { MakeNode(finding, "kvm", S_IFCHR, 10, 232); }

static void OpenDevices(struct Finding* finding) {
  static const char* const kDevices[] = {
      "mem",   "kmem",          "port",      "kmsg",           "sda",       "vda",     "nvme0n1",
      "kvm",   "fuse",          "net/tun",   "loop-control",   "loop0",     "console", "tty0",
      "tty1",  "userfaultfd",   "cpu/0/msr", "mapper/control", "vhost-net", "vsock",   "uinput",
      "hwrng", "btrfs-control", "dri/card0", "snapshot"};
  for (size_t i = 0; i < sizeof(kDevices) / sizeof(kDevices[0]); ++i) {
    char path[64];
    snprintf(path, sizeof(path), "/dev/%s", kDevices[i]);
    JudgeOpen(finding, path, O_RDONLY);
  }
}

// A key pressed on a terminal that others read: the controlling one, or standard output.
static void Tiocsti(struct Finding* finding) {
  for (int fd = 0; fd < 3; ++fd)
    JudgeAlso(finding, "on a standard stream", ioctl(fd, TIOCSTI, "x"));
  const int terminal = open("/dev/tty", O_RDWR | O_NONBLOCK);
  JudgeAlso(finding, "on /dev/tty", terminal < 0 ? -1 : ioctl(terminal, TIOCSTI, "x"));
}

const struct Attempt kDeviceAttempts[] = {
    {"devices.mknod_mem", MakeMem},
    {"devices.mknod_kmsg", MakeKmsg},
    {"devices.mknod_disk", MakeDisk},
    {"devices.mknod_kvm", MakeKvm},
    {"devices.open", OpenDevices},
    {"devices.type_on_terminal", Tiocsti},
    {NULL, NULL},
};

// Opened for writing, never written: what they do to a machine is well known.
#define WRITE_TO(function, ...)                                     \
  static void function(struct Finding* finding) {                   \
    static const char* const kPaths[] = {__VA_ARGS__};              \
    for (size_t i = 0; i < sizeof(kPaths) / sizeof(kPaths[0]); ++i) \
      JudgeOpen(finding, kPaths[i], O_WRONLY);                      \
  }

WRITE_TO(CorePattern, "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/core_pipe_limit")
WRITE_TO(Modprobe, "/proc/sys/kernel/modprobe", "/proc/sys/kernel/hotplug",
         "/proc/sys/kernel/poweroff_cmd")
WRITE_TO(SysrqTrigger, "/proc/sysrq-trigger", "/proc/sys/kernel/sysrq")
WRITE_TO(UeventHelper, "/sys/kernel/uevent_helper", "/sys/class/mem/null/uevent")
WRITE_TO(BinfmtMisc, "/proc/sys/fs/binfmt_misc/register", "/proc/sys/fs/binfmt_misc/status")
WRITE_TO(Sysctl, "/proc/sys/kernel/randomize_va_space", "/proc/sys/user/max_user_namespaces",
         "/proc/sys/vm/panic_on_oom", "/proc/sys/vm/drop_caches", "/proc/sys/net/ipv4/ip_forward",
         "/proc/sys/kernel/ns_last_pid", "/proc/sys/kernel/hostname", "/proc/sys/kernel/domainname")
WRITE_TO(Hardware, "/proc/irq/default_smp_affinity", "/proc/mtrr", "/proc/scsi/scsi",
         "/proc/acpi/wakeup", "/proc/bus/pci/00/00.0", "/sys/power/state",
         "/sys/firmware/efi/efivars", "/sys/bus/pci/rescan")
WRITE_TO(Debugging, "/sys/kernel/debug/tracing/tracing_on", "/sys/kernel/tracing/tracing_on",
         "/sys/kernel/debug/sched/features", "/sys/kernel/security/apparmor/.load",
         "/sys/fs/selinux/load")
// /proc/self/uid_map can be opened by its owner; it is the second write that the kernel refuses.
static void UidMap(struct Finding* finding) {
  static const char* const kFiles[] = {"/proc/self/uid_map", "/proc/self/gid_map",
                                       "/proc/self/setgroups"};
  for (size_t i = 0; i < 3; ++i) {
    const int file = open(kFiles[i], O_WRONLY);
    JudgeAlso(finding, kFiles[i],
              file < 0 ? -1
              : i < 2  ? write(file, "0 0 4294967295", 14)
                       : write(file, "allow", 5));
  }
}

// Anyone may write the map of project ids (quotas count by them); to give a file one takes more.
static void ProjectId(struct Finding* finding) {
  const int map = open("/proc/self/projid_map", O_WRONLY);
  if (map >= 0 && write(map, "0 0 4294967295", 14) < 0) close(map);
  const int file = open("/tmp/escape-project", O_RDWR | O_CREAT, 0600);
  unlink("/tmp/escape-project");
  struct fsxattr attributes;
  if (file < 0 || ioctl(file, FS_IOC_FSGETXATTR, &attributes) < 0) return JudgeCall(finding, -1);
  attributes.fsx_projid += 1;
  JudgeCall(finding, ioctl(file, FS_IOC_FSSETXATTR, &attributes));
}

static void CgroupFiles(struct Finding* finding) {
  static const char* const kTrees[] = {"",      "/memory",  "/rdma",    "/devices", "/cpu",
                                       "/pids", "/freezer", "/unified", "/systemd"};
  static const char* const kFiles[] = {"release_agent", "notify_on_release",     "cgroup.procs",
                                       "tasks",         "memory.limit_in_bytes", "memory.max",
                                       "pids.max",      "devices.allow"};
  for (size_t tree = 0; tree < sizeof(kTrees) / sizeof(kTrees[0]); ++tree) {
    for (size_t file = 0; file < sizeof(kFiles) / sizeof(kFiles[0]); ++file) {
      char path[96];
      snprintf(path, sizeof(path), "/sys/fs/cgroup%s/%s", kTrees[tree], kFiles[file]);
      JudgeOpen(finding, path, O_WRONLY);
    }
    char folder[96];
    snprintf(folder, sizeof(folder), "/sys/fs/cgroup%s/escape", kTrees[tree]);
    const int made = mkdir(folder, 0700);
    JudgeAlso(finding, folder, made);
    if (made == 0) rmdir(folder);
  }
}

// What tells of the kernel and of the machine: read for what is in it, as masks are empty files.
static void ReadKernel(struct Finding* finding) {
  static const char* const kPaths[] = {"/proc/kcore",       "/proc/keys",
                                       "/proc/kmsg",        "/proc/timer_list",
                                       "/proc/sched_debug", "/proc/kpagecount",
                                       "/proc/kpageflags",  "/proc/vmallocinfo",
                                       "/proc/slabinfo",    "/sys/kernel/debug/sched/debug"};
  for (size_t i = 0; i < sizeof(kPaths) / sizeof(kPaths[0]); ++i) {
    char byte[16];
    const int file = open(kPaths[i], O_RDONLY | O_NONBLOCK);
    const ssize_t got = file < 0 ? -1 : read(file, byte, sizeof(byte));
    errno = got == 0 ? ENODATA : errno;
    JudgeAlso(finding, kPaths[i], got > 0 ? 0 : -1);
    if (file >= 0) close(file);
  }
}

static void KernelAddresses(struct Finding* finding) {
  char text[4096];
  const int file = open("/proc/kallsyms", O_RDONLY);
  const ssize_t got = file < 0 ? -1 : read(file, text, sizeof(text) - 1);
  if (got < 0) return JudgeCall(finding, -1);
  text[got] = '\0';
  for (const char* line = text; line != NULL && *line != '\0';
       line = strchr(line, '\n'), line += line != NULL) {
    if (strtoull(line, NULL, 16) != 0)
      return Escaped(finding, "kernel addresses in /proc/kallsyms");
  }
  Held(finding, "all addresses are 0");
}

const struct Attempt kKernelFileAttempts[] = {
    {"kernel_files.core_pattern", CorePattern},
    {"kernel_files.modprobe_path", Modprobe},
    {"kernel_files.sysrq_trigger", SysrqTrigger},
    {"kernel_files.uevent_helper", UeventHelper},
    {"kernel_files.binfmt_misc", BinfmtMisc},
    {"kernel_files.sysctl", Sysctl},
    {"kernel_files.hardware", Hardware},
    {"kernel_files.debugging", Debugging},
    {"kernel_files.uid_map", UidMap},
    {"kernel_files.project_id", ProjectId},
    {"kernel_files.cgroup_release_agent", CgroupFiles},
    {"kernel_files.read_kernel", ReadKernel},
    {"kernel_files.kernel_addresses", KernelAddresses},
    {NULL, NULL},
};

static char inherited[256];

void NoteInheritedDescriptors(int expected) {
  struct rlimit limit = {.rlim_cur = 65536};
  getrlimit(RLIMIT_NOFILE, &limit);
  for (int fd = expected + 1; fd < (int)limit.rlim_cur && fd < 65536; ++fd) {
    if (fcntl(fd, F_GETFD) < 0) continue;
    const size_t used = strlen(inherited);
    snprintf(inherited + used, sizeof(inherited) - used, "%s%d", used > 0 ? "," : "descriptor ",
             fd);
  }
}

static void Inherited(struct Finding* finding) {
  if (inherited[0] != '\0') return Escaped(finding, inherited);
  Held(finding, "none");
}

// Out of a folder or a file that some descriptor leads to.
static void ClimbFromDescriptors(struct Finding* finding) {
  for (int fd = 0; fd < 256; ++fd) {
    if (fcntl(fd, F_GETFD) < 0) continue;
    const int above = openat(fd, "../../../../../../../../etc/hostname", O_RDONLY);
    JudgeAlso(finding, "a folder's descriptor leads out", above);
    // What was opened read-only may not become writable, nor a pipe's other end be had.
    const int flags = fcntl(fd, F_GETFL);
    struct stat info;
    if ((flags & O_ACCMODE) == O_RDONLY && fstat(fd, &info) == 0 && S_ISREG(info.st_mode)) {
      char path[64];
      snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
      JudgeOpen(finding, path, O_RDWR);
    }
  }
}

static void ReachBy(struct Finding* finding, const char* prefix, const char* path) {
  char whole[1200];
  snprintf(whole, sizeof(whole), "%s%s", prefix, path);
  JudgeOpen(finding, whole, O_RDONLY);
  JudgeOpen(finding, whole, O_WRONLY);
}

static const char* reached_path;

static void ReachByPid(struct Finding* finding, int pid) {
  char prefix[64];
  snprintf(prefix, sizeof(prefix), "/proc/%d/root", pid);
  ReachBy(finding, prefix, reached_path);
}

// A path of the host, by every way that could lead there.
static void Reach(struct Finding* finding, const char* name, const char* path) {
  (void)name;
  ReachBy(finding, "", path);
  ReachBy(finding, "/../../../..", path);
  ReachBy(finding, "../../../../../../..", path);
  ReachBy(finding, "/proc/1/root", path);
  ReachBy(finding, "/proc/1/cwd/../../../..", path);
  ReachBy(finding, "/proc/self/root/../..", path);
  ReachBy(finding, "/proc/self/task/../root", path);
  reached_path = path;
  ForEachPid(finding, ReachByPid);
  const char* link = "/tmp/escape-link";
  if (symlink(path, link) == 0) {
    ReachBy(finding, link, "");
    unlink(link);
  }
  const int copied = linkat(AT_FDCWD, path, AT_FDCWD, "/tmp/escape-hard", 0);
  JudgeAlso(finding, "hard link", copied);
  if (copied == 0) unlink("/tmp/escape-hard");
}

static const char* wanted_name;

static void ReachIfWanted(struct Finding* finding, const char* name, const char* path) {
  if (strcmp(name, wanted_name) == 0) Reach(finding, name, path);
}

#define FILES(function, name)                                 \
  static void function(struct Finding* finding) {             \
    wanted_name = name;                                       \
    ForEachItem(finding, "ESCAPE_FILES", ':', ReachIfWanted); \
  }

FILES(HostFile, "host_file")
FILES(StateFolder, "state")
FILES(Registry, "registry")
FILES(AotFolder, "aot")
FILES(AotKey, "aot_key")
FILES(Blobs, "blobs")
FILES(Images, "images")
FILES(OtherContainer, "other_container")
FILES(Secret, "secret")

const struct Attempt kFileAttempts[] = {
    {"descriptors.inherited", Inherited},
    {"descriptors.climb_out", ClimbFromDescriptors},
    {"files.host_file", HostFile},
    {"files.state_folder", StateFolder},
    {"files.registry", Registry},
    {"files.aot_cache", AotFolder},
    {"files.aot_key", AotKey},
    {"files.blobs", Blobs},
    {"files.images", Images},
    {"files.other_container", OtherContainer},
    {"files.secret", Secret},
    {NULL, NULL},
};
