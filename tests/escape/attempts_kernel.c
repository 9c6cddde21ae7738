// Attempts on the kernel itself: system calls that a sandbox has no business with.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/keyctl.h>
#include <linux/perf_event.h>
#include <linux/reboot.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include "judge.h"

#define CALL(function, ...) \
  static void function(struct Finding* finding) { JudgeCall(finding, syscall(__VA_ARGS__)); }
// A call with arguments that are wrong on purpose: the given errors come after the permission
// check.
#define CALL_OR(function, passed, passed_too, ...)                  \
  static void function(struct Finding* finding) {                   \
    JudgeCallOr(finding, syscall(__VA_ARGS__), passed, passed_too); \
  }

// Taken away again, so that it hides nothing from the attempts that follow.
static void JudgeMount(struct Finding* finding, const char* source, const char* type,
                       unsigned long flags) {
  JudgeCall(finding, syscall(SYS_mount, source, "/tmp", type, flags, NULL));
  if (finding->verdict == kEscaped) umount2("/tmp", MNT_DETACH);
}

static void Mount(struct Finding* finding) { JudgeMount(finding, "none", "tmpfs", 0); }
static void MountBind(struct Finding* finding) { JudgeMount(finding, "/", NULL, MS_BIND | MS_REC); }
CALL(MountRemount, SYS_mount, NULL, "/proc/sys", NULL, MS_REMOUNT | MS_BIND, NULL)
CALL(MountShared, SYS_mount, NULL, "/", NULL, MS_SHARED | MS_REC, NULL)
CALL_OR(Umount, EINVAL, EBUSY, SYS_umount2, "/proc/kcore", MNT_DETACH)
CALL(OpenTree, SYS_open_tree, AT_FDCWD, "/", 1 /* OPEN_TREE_CLONE */)
CALL(Fsopen, SYS_fsopen, "tmpfs", 0)
CALL_OR(Fspick, EINVAL, EFAULT, SYS_fspick, AT_FDCWD, "/", 0)
CALL_OR(MoveMount, EINVAL, ENOENT, SYS_move_mount, AT_FDCWD, "/tmp", AT_FDCWD, "/", 0)
CALL_OR(PivotRoot, EINVAL, EBUSY, SYS_pivot_root, "/", "/")
CALL(Chroot, SYS_chroot, "/")
CALL(Userfaultfd, SYS_userfaultfd, 1 /* UFFD_USER_MODE_ONLY */)
CALL(Keyctl, SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 1)
CALL(AddKey, SYS_add_key, "user", "hybridserve-escape", "x", 1, KEY_SPEC_PROCESS_KEYRING)
CALL_OR(RequestKey, ENOKEY, -1, SYS_request_key, "user", "hybridserve-escape", NULL, 0)
CALL_OR(InitModule, EFAULT, ENOEXEC, SYS_init_module, NULL, 0, "")
CALL_OR(FinitModule, EBADF, ENOEXEC, SYS_finit_module, -1, "", 0)
CALL_OR(DeleteModule, ENOENT, EFAULT, SYS_delete_module, "hybridserve_no_such_module", O_NONBLOCK)
CALL_OR(KexecLoad, EINVAL, EADDRNOTAVAIL, SYS_kexec_load, 0, 1, NULL, 0xffff0000)
CALL_OR(KexecFileLoad, EBADF, EINVAL, SYS_kexec_file_load, -1, -1, 0, NULL, 0)
CALL_OR(Reboot, EINVAL, -1, SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2,
        LINUX_REBOOT_CMD_CAD_ON, NULL)
CALL_OR(Swapon, ENOENT, EINVAL, SYS_swapon, "/hybridserve-no-such-file", 0)
CALL_OR(Swapoff, ENOENT, EINVAL, SYS_swapoff, "/hybridserve-no-such-file")
CALL_OR(Sethostname, EFAULT, EINVAL, SYS_sethostname, NULL, 100000)
CALL_OR(Setdomainname, EFAULT, EINVAL, SYS_setdomainname, NULL, 100000)
CALL(SyslogSize, SYS_syslog, 10 /* SYSLOG_ACTION_SIZE_BUFFER */, NULL, 0)
CALL_OR(Acct, ENOENT, -1, SYS_acct, "/hybridserve-no-such-file")
CALL(Quotactl, SYS_quotactl, 0x80000700 /* Q_QUOTAON */, "/hybridserve-no-such-device", 0, NULL)
#if defined(__x86_64__)
CALL(Iopl, SYS_iopl, 3)
CALL(Ioperm, SYS_ioperm, 0x80, 1, 1)
#endif
CALL(PersonalityNoRandom, SYS_personality, 0x0040000 /* ADDR_NO_RANDOMIZE */)
CALL(PersonalityReadExec, SYS_personality, 0x0400000 /* READ_IMPLIES_EXEC */)
CALL(FanotifyInit, SYS_fanotify_init, 0x4 /* FAN_CLASS_CONTENT */, O_RDONLY)
CALL(MemfdSecret, SYS_memfd_secret, 0)

static void MountSetattr(struct Finding* finding) {
  const unsigned long long attributes[4] = {2 /* MOUNT_ATTR_NOSUID, set */, 0, 0, 0};
  JudgeCall(finding, syscall(SYS_mount_setattr, AT_FDCWD, "/", 0, attributes, sizeof(attributes)));
}

static void Listmount(struct Finding* finding) {
  const unsigned long long request[3] = {24, ~0ull /* LSMT_ROOT */, 0};
  unsigned long long ids[16];
  JudgeCall(finding, syscall(458, request, ids, 16, 0));
}

static void Bpf(struct Finding* finding) {
  union bpf_attr attributes;
  memset(&attributes, 0, sizeof(attributes));
  attributes.map_type = BPF_MAP_TYPE_ARRAY;
  attributes.key_size = attributes.value_size = 4;
  attributes.max_entries = 1;
  JudgeCall(finding, syscall(SYS_bpf, BPF_MAP_CREATE, &attributes, sizeof(attributes)));
}

static void PerfEventOpen(struct Finding* finding) {
  struct perf_event_attr attributes;
  memset(&attributes, 0, sizeof(attributes));
  attributes.size = sizeof(attributes);
  attributes.type = PERF_TYPE_SOFTWARE;
  attributes.config = PERF_COUNT_SW_TASK_CLOCK;
  attributes.exclude_kernel = 1;
  JudgeCall(finding, syscall(SYS_perf_event_open, &attributes, 0, -1, -1, 0));
}

static void IoUringSetup(struct Finding* finding) {
  char parameters[120] = {0};
  JudgeCall(finding, syscall(SYS_io_uring_setup, 1, parameters));
}

// The clock is set to what it says, should that be allowed.
static void Settimeofday(struct Finding* finding) {
  struct timeval now;
  gettimeofday(&now, NULL);
  JudgeCall(finding, syscall(SYS_settimeofday, &now, NULL));
}

static void ClockSettime(struct Finding* finding) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  JudgeCall(finding, syscall(SYS_clock_settime, CLOCK_REALTIME, &now));
}

static void Adjtimex(struct Finding* finding) {
  struct timex clock = {.modes = 0};
  if (syscall(SYS_adjtimex, &clock) < 0) return JudgeCall(finding, -1);
  clock.modes = ADJ_FREQUENCY;
  JudgeCall(finding, syscall(SYS_adjtimex, &clock));
}

struct Handle {
  unsigned bytes;
  int type;
  unsigned char id[128];
};

static void NameToHandleAt(struct Finding* finding) {
  struct Handle handle = {.bytes = sizeof(handle.id)};
  int mount;
  JudgeCall(finding, syscall(SYS_name_to_handle_at, AT_FDCWD, "/", &handle, &mount, 0));
}

// Inode 2, the root of an ext4 file system, through whatever descriptor there is.
static void OpenByHandleAt(struct Finding* finding) {
  struct Handle handle = {.bytes = 8, .type = 1, .id = {2}};
  const int root = open("/", O_RDONLY | O_DIRECTORY);
  JudgeCallOr(finding, syscall(SYS_open_by_handle_at, root, &handle, O_RDONLY), ESTALE, -1);
}

// Other architectures' entry points number their calls in another way: a filter has to see to it.
static void OtherEntryPoint(struct Finding* finding) {
#if defined(__x86_64__)
  long result;
  const pid_t self = getpid();
  if (self == 1) return Untried(finding, "it would end the program");
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(20L /* getpid of i386 */) : "memory");
  if (result == self) return Escaped(finding, "an i386 call went through");
  errno = (int)-result;
  JudgeCall(finding, -1);
#else
  Untried(finding, "none on this architecture");
#endif
}

static void X32Call(struct Finding* finding) {
  if (getpid() == 1) return Untried(finding, "it would end the program");
  JudgeCall(finding, syscall(0x40000000 | SYS_getpid));
}

CALL(NewestCall, 1000)

const struct Attempt kKernelAttempts[] = {
    {"kernel.mount", Mount},
    {"kernel.mount_bind", MountBind},
    {"kernel.mount_remount_proc_sys", MountRemount},
    {"kernel.mount_shared", MountShared},
    {"kernel.umount_mask", Umount},
    {"kernel.open_tree", OpenTree},
    {"kernel.mount_setattr", MountSetattr},
    {"kernel.fsopen", Fsopen},
    {"kernel.fspick", Fspick},
    {"kernel.move_mount", MoveMount},
    {"kernel.pivot_root", PivotRoot},
    {"kernel.chroot", Chroot},
    {"kernel.bpf", Bpf},
    {"kernel.perf_event_open", PerfEventOpen},
    {"kernel.userfaultfd", Userfaultfd},
    {"kernel.io_uring_setup", IoUringSetup},
    {"kernel.keyctl", Keyctl},
    {"kernel.add_key", AddKey},
    {"kernel.request_key", RequestKey},
    {"kernel.init_module", InitModule},
    {"kernel.finit_module", FinitModule},
    {"kernel.delete_module", DeleteModule},
    {"kernel.kexec_load", KexecLoad},
    {"kernel.kexec_file_load", KexecFileLoad},
    {"kernel.reboot", Reboot},
    {"kernel.swapon", Swapon},
    {"kernel.swapoff", Swapoff},
    {"kernel.settimeofday", Settimeofday},
    {"kernel.clock_settime", ClockSettime},
    {"kernel.adjtimex", Adjtimex},
    {"kernel.sethostname", Sethostname},
    {"kernel.setdomainname", Setdomainname},
    {"kernel.syslog", SyslogSize},
    {"kernel.acct", Acct},
    {"kernel.quotactl", Quotactl},
#if defined(__x86_64__)
    {"kernel.iopl", Iopl},
    {"kernel.ioperm", Ioperm},
#endif
    {"kernel.personality_no_random", PersonalityNoRandom},
    {"kernel.personality_read_exec", PersonalityReadExec},
    {"kernel.fanotify_init", FanotifyInit},
    {"kernel.memfd_secret", MemfdSecret},
    {"kernel.listmount", Listmount},
    {"kernel.name_to_handle_at", NameToHandleAt},
    {"kernel.open_by_handle_at", OpenByHandleAt},
    {"kernel.i386_call", OtherEntryPoint},
    {"kernel.x32_call", X32Call},
    {"kernel.unknown_call", NewestCall},
    {NULL, NULL},
};
