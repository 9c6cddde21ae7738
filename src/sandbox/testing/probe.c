// The program that the sandbox's tests run inside: it says what it sees, or misbehaves on demand.
// Static, so that an image of this one file is enough. Usage: probe COMMAND [ARGUMENT].
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void PrintFile(const char* name, const char* path) {
  char text[4096];
  const int fd = open(path, O_RDONLY);
  const ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
  printf("%s=", name);
  for (ssize_t i = 0; i < got; ++i) putchar(text[i] == '\n' ? '|' : text[i]);
  if (got < 0) printf("errno%d", errno);
  putchar('\n');
  if (fd >= 0) close(fd);
}

static void PrintStatus(void) {
  char line[256];
  FILE* file = fopen("/proc/self/status", "r");
  while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
    if (strncmp(line, "Cap", 3) == 0 || strncmp(line, "NoNewPrivs", 10) == 0 ||
        strncmp(line, "Seccomp:", 8) == 0) {
      char* colon = strchr(line, ':');
      *colon = '=';
      char* value = colon + 1 + strspn(colon + 1, "\t ");
      printf("%.*s=%s", (int)(colon - line), line, value);
    }
  }
  if (file != NULL) fclose(file);
}

static void PrintNames(const char* name, const char* path) {
  DIR* folder = opendir(path);
  printf("%s=", name);
  const struct dirent* entry;
  while (folder != NULL && (entry = readdir(folder)) != NULL) {
    if (entry->d_name[0] != '.' && atoi(entry->d_name) != dirfd(folder))
      printf("%s,", entry->d_name);
  }
  putchar('\n');
  if (folder != NULL) closedir(folder);
}

static void PrintInterfaces(void) {
  struct if_nameindex* all = if_nameindex();
  printf("interfaces=");
  for (struct if_nameindex* one = all; one != NULL && one->if_index != 0; ++one)
    printf("%s,", one->if_name);
  putchar('\n');
}

static void PrintDenied(const char* name, long result) {
  printf("deny.%s=%s\n", name, result < 0 ? strerrorname_np(errno) : "ALLOWED");
}

static void PrintDenials(void) {
  PrintDenied("mount", mount("none", "/tmp", "tmpfs", 0, NULL));
  PrintDenied("umount", umount2("/tmp", 0));
  PrintDenied("ptrace", ptrace(PTRACE_TRACEME, 0, NULL, NULL));
  PrintDenied("keyctl", syscall(SYS_keyctl, 0, 0, 0, 0, 0));
  PrintDenied("bpf", syscall(SYS_bpf, BPF_MAP_CREATE, NULL, 0));
  PrintDenied("unshare", unshare(CLONE_NEWUSER));
  PrintDenied("setns", setns(0, 0));
  PrintDenied("clone_newuser", syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0));
  PrintDenied("clone3", syscall(SYS_clone3, NULL, 0));
  PrintDenied("io_uring", syscall(SYS_io_uring_setup, 1, NULL));
  PrintDenied("perf", syscall(SYS_perf_event_open, NULL, 0, 0, 0, 0));
  PrintDenied("userfaultfd", syscall(SYS_userfaultfd, 0));
  PrintDenied("pivot_root", syscall(SYS_pivot_root, "/", "/"));
  PrintDenied("open_tree", syscall(SYS_open_tree, AT_FDCWD, "/", 1));
  PrintDenied("vsock", socket(AF_VSOCK, SOCK_STREAM, 0));
  PrintDenied("packet", socket(AF_PACKET, SOCK_RAW, 0));
  PrintDenied("pdeathsig", prctl(PR_SET_PDEATHSIG, 0));
  PrintDenied("pdeathsig_high", syscall(SYS_prctl, (1ul << 32) | PR_SET_PDEATHSIG, 0, 0, 0, 0));
  PrintDenied("newer", syscall(1000));
}

static void PrintWrite(const char* name, const char* path) {
  const int fd = open(path, O_WRONLY | O_CREAT, 0644);
  printf("write.%s=%s\n", name, fd < 0 ? strerrorname_np(errno) : "ok");
  if (fd >= 0) close(fd);
}

static void Report(void) {
  char host[256] = "";
  gethostname(host, sizeof(host));
  printf("pid=%d\nuid=%d\ngid=%d\nhost=%s\n", getpid(), getuid(), getgid(), host);
  PrintFile("uid_map", "/proc/self/uid_map");
  PrintFile("cgroup", "/proc/self/cgroup");
  PrintFile("hosts", "/etc/hosts");
  PrintFile("kcore", "/proc/kcore");
  PrintFile("keys", "/proc/keys");
  PrintFile("timer_list", "/proc/timer_list");
  PrintFile("own_file", "/etc/own");
  PrintStatus();
  PrintNames("fds", "/proc/self/fd");
  PrintNames("dev", "/dev");
  PrintNames("root", "/");
  PrintInterfaces();
  PrintWrite("root", "/new");
  PrintWrite("tmp", "/tmp/new");
  PrintWrite("run", "/run/new");
  PrintWrite("shm", "/dev/shm/new");
  PrintWrite("dev", "/dev/new");
  PrintWrite("null", "/dev/null");
  struct stat own;
  printf("own_uid=%d\n", stat("/etc/own", &own) == 0 ? (int)own.st_uid : -1);
  const char* kernel_paths[] = {"/proc/sys", "/proc/bus", "/proc/irq", "/proc/sysrq-trigger"};
  for (size_t i = 0; i < sizeof(kernel_paths) / sizeof(kernel_paths[0]); ++i) {
    struct statvfs info;
    const int there = statvfs(kernel_paths[i], &info) == 0;
    printf("mode.%s=%s\n", kernel_paths[i],
           !there                      ? "absent"
           : (info.f_flag & ST_RDONLY) ? "ro"
                                       : "rw");
  }
  struct rlimit core;
  getrlimit(RLIMIT_CORE, &core);
  printf("core=%d\n", (int)core.rlim_cur);
  PrintDenials();
  printf("done=1\n");
}

// How many bytes fit into a folder before ENOSPC.
static void FillDisk(const char* path) {
  static char block[64 * 1024];
  const int fd = open(path, O_WRONLY | O_CREAT, 0600);
  long total = 0;
  ssize_t wrote;
  while ((wrote = write(fd, block, sizeof(block))) > 0) total += wrote;
  printf("filled=%ld errno=%s\n", total, strerrorname_np(errno));
}

static void EatMemory(long megabytes) {
  for (long i = 0; i < megabytes; ++i) {
    char* block = malloc(1 << 20);
    memset(block, 1, 1 << 20);
  }
  printf("ate=%ld\n", megabytes);
}

static void ForkUntilRefused(void) {
  int made = 0;
  pid_t pid;
  while (made < 10000 && (pid = fork()) >= 0) {
    if (pid == 0) pause();
    ++made;
  }
  printf("forked=%d errno=%s\n", made, strerrorname_np(errno));
}

static int Serve(int port) {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  const int one = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr = {htonl(INADDR_LOOPBACK)}};
  if (bind(listener, (struct sockaddr*)&address, sizeof(address)) != 0 ||
      listen(listener, 64) != 0) {
    perror("listen");
    return 1;
  }
  static const char kAnswer[] = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi\n";
  char request[4096];
  while (1) {
    const int peer = accept(listener, NULL, NULL);
    if (peer < 0) continue;
    while (read(peer, request, sizeof(request)) > 0) {
      if (write(peer, kAnswer, sizeof(kAnswer) - 1) < 0) break;
    }
    close(peer);
  }
}

int main(int argc, char** argv) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  const char* command = argc > 1 ? argv[1] : "report";
  const char* argument = argc > 2 ? argv[2] : "";
  if (strcmp(command, "report") == 0) Report();
  if (strcmp(command, "fill") == 0) FillDisk(argument);
  if (strcmp(command, "eat") == 0) EatMemory(atol(argument));
  if (strcmp(command, "fork") == 0) ForkUntilRefused();
  if (strcmp(command, "exit") == 0) return atoi(argument);
  if (strcmp(command, "print") == 0) puts(getenv(argument) != NULL ? getenv(argument) : "unset");
  if (strcmp(command, "sleep") == 0) {
    puts("sleeping");
    while (1) pause();
  }
  if (strcmp(command, "serve") == 0) return Serve(atoi(argument));
  return 0;
}
