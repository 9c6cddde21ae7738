// Attempts that only an executor has no business with: a container may do all of this.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "judge.h"

static void Fork(struct Finding* finding) {
  const pid_t child = fork();
  if (child == 0) _exit(0);
  JudgeCall(finding, child);
}

static void Exec(struct Finding* finding) {
  char* none[] = {NULL};
  JudgeCallOr(finding, execve("/usr/bin/true", none, none), ENOENT, EACCES);
}

static void ExecMemfd(struct Finding* finding) {
  const int file = (int)syscall(SYS_memfd_create, "program", 0);
  char* none[] = {NULL};
  if (file < 0) return JudgeCall(finding, -1);
  if (write(file, "#!/", 3) != 3) return JudgeCall(finding, -1);
  JudgeCallOr(finding, syscall(SYS_execveat, file, "", none, none, AT_EMPTY_PATH), ENOEXEC, ENOENT);
  close(file);
}

static void ListRoot(struct Finding* finding) {
  const int root = open("/", O_RDONLY | O_DIRECTORY);
  char entries[4096];
  const long got = root < 0 ? -1 : syscall(SYS_getdents64, root, entries, sizeof(entries));
  if (got < 0) return JudgeCall(finding, -1);
  // Two entries of 24 bytes: "." and "..".
  if (got > 48) return Escaped(finding, "/ is not empty");
  close(root);
  Held(finding, "/ is empty");
}

static void WriteRoot(struct Finding* finding) {
  JudgeOpen(finding, "/escape", O_WRONLY | O_CREAT);
  JudgeAlso(finding, "a folder", syscall(SYS_mkdirat, AT_FDCWD, "/escape-folder", 0700));
  JudgeOpen(finding, "/", O_TMPFILE | O_RDWR);
}

static void OldFiles(struct Finding* finding) {
  static const char* const kPaths[] = {
      "/proc", "/proc/self/maps", "/usr/lib", "/lib64", "/dev/null", "/tmp", "/etc"};
  for (size_t i = 0; i < sizeof(kPaths) / sizeof(kPaths[0]); ++i)
    JudgeOpen(finding, kPaths[i], O_RDONLY);
}

// The folder of guests' /tmp, at the descriptor where the launcher puts it.
static void AboveScratch(struct Finding* finding) {
  enum { kScratch = 5 };
  struct stat here, above;
  if (fstat(kScratch, &here) != 0) return Untried(finding, "there is none");
  const int up = openat(kScratch, "../..", O_PATH | O_DIRECTORY);
  if (up < 0) return JudgeCall(finding, -1);
  if (fstat(up, &above) != 0 || above.st_dev != here.st_dev || above.st_ino != here.st_ino)
    return Escaped(finding, "something lies above it");
  close(up);
  Held(finding, "nothing lies above it");
}

// It takes no device, and nothing in it can be executed.
static void ScratchFiles(struct Finding* finding) {
  enum { kScratch = 5 };
  struct stat here;
  if (fstat(kScratch, &here) != 0) return Untried(finding, "there is none");
  JudgeAlso(finding, "a device", syscall(SYS_mknodat, kScratch, "device", S_IFCHR | 0600, 0x103));
  const int file = openat(kScratch, "code", O_RDWR | O_CREAT, 0700);
  if (file < 0) return Untried(finding, "no file can be made");
  if (ftruncate(file, 4096) == 0) {
    void* page = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0);
    JudgeAlso(finding, "code", page == MAP_FAILED ? -1 : 0);
  }
  unlinkat(kScratch, "code", 0);
  close(file);
}

static void AnySocket(struct Finding* finding) {
  static const int kFamilies[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};
  for (size_t i = 0; i < 4; ++i)
    JudgeAlso(finding, "a socket", socket(kFamilies[i], SOCK_DGRAM, 0));
}

static void Kill(struct Finding* finding) { JudgeCall(finding, kill(getpid(), 0)); }
static void Listen(struct Finding* finding) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) return JudgeCall(finding, -1);
  const struct sockaddr family = {.sa_family = AF_UNIX};
  JudgeAlso(finding, "bind", bind(ends[0], &family, sizeof(family)));
  JudgeAlso(finding, "connect", connect(ends[0], &family, sizeof(family)));
  close(ends[0]);
  close(ends[1]);
}

static void WidenFilter(struct Finding* finding) {
  JudgeCallOr(finding, syscall(SYS_seccomp, 0 /* strict mode */, 1, NULL), EINVAL, EFAULT);
}

const struct Attempt kExecutorAttempts[] = {
    {"executor.fork", Fork},
    {"executor.exec", Exec},
    {"executor.exec_memfd", ExecMemfd},
    {"executor.list_root", ListRoot},
    {"executor.write_root", WriteRoot},
    {"executor.files_of_its_start", OldFiles},
    {"executor.above_scratch", AboveScratch},
    {"executor.scratch_files", ScratchFiles},
    {"executor.new_socket", AnySocket},
    {"executor.bind_or_connect", Listen},
    {"executor.kill_itself", Kill},
    {"executor.seccomp", WidenFilter},
    {NULL, NULL},
};
