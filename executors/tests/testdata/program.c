// The guest of the executor's tests: what it does is in the query string.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static void Head(void) { printf("Content-Type: text/plain\r\n\r\n"); }

static int Echo(void) {
  static char buffer[65536];
  size_t got;
  Head();
  while ((got = fread(buffer, 1, sizeof(buffer), stdin)) > 0) fwrite(buffer, 1, got, stdout);
  return 0;
}

static int Environment(void) {
  Head();
  for (char **entry = environ; *entry != NULL; ++entry) printf("%s\n", *entry);
  return 0;
}

static int Big(size_t bytes) {
  static char buffer[10000];
  memset(buffer, 'b', sizeof(buffer));
  Head();
  while (bytes > 0) {
    size_t piece = bytes < sizeof(buffer) ? bytes : sizeof(buffer);
    fwrite(buffer, 1, piece, stdout);
    bytes -= piece;
  }
  return 0;
}

static int Allocate(size_t mebibytes) {
  Head();
  for (size_t i = 0; i < mebibytes; ++i) {
    char *volatile piece = malloc(1 << 20);  // Volatile, or the compiler leaves it all out.
    if (piece == NULL) {
      fprintf(stderr, "no memory after %zu MiB\n", i);
      return 9;
    }
    memset(piece, 1, 1 << 20);
  }
  printf("allocated %zu MiB\n", mebibytes);
  return 0;
}

static int Counter(void) {
  static int count = 0;
  Head();
  printf("%d\n", ++count);
  return 0;
}

static int Sleep(long milliseconds) {
  struct timespec time = {milliseconds / 1000, (milliseconds % 1000) * 1000000};
  Head();
  nanosleep(&time, NULL);
  printf("slept\n");
  return 0;
}

// Tells what becomes of an attempt: "ok" or the error.
static void Tell(const char *what, int result) {
  printf("%s: %s\n", what, result >= 0 ? "ok" : strerror(errno));
}

static int OpenAndClose(const char *path, int flags) {
  int fd = open(path, flags, 0644);
  if (fd >= 0) close(fd);
  return fd;
}

static int Files(const char *folder) {
  char path[256];
  char text[64] = "";
  Head();
  snprintf(path, sizeof(path), "%s/greeting", folder);
  int fd = open(path, O_RDONLY);
  Tell("read", fd);
  if (fd >= 0) {
    text[read(fd, text, sizeof(text) - 1)] = '\0';
    close(fd);
  }
  printf("text: %s\n", text);
  snprintf(path, sizeof(path), "%s/new", folder);
  fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  Tell("create", fd);
  if (fd >= 0) {
    Tell("write", (int)write(fd, "new", 3));
    close(fd);
  }
  snprintf(path, sizeof(path), "%s/folder", folder);
  Tell("mkdir", mkdir(path, 0755));
  snprintf(path, sizeof(path), "%s/../secret", folder);
  Tell("dotdot", OpenAndClose(path, O_RDONLY));
  snprintf(path, sizeof(path), "%s/sub/../../secret", folder);
  Tell("deep dotdot", OpenAndClose(path, O_RDONLY));
  snprintf(path, sizeof(path), "%s/link", folder);
  Tell("link out", OpenAndClose(path, O_RDONLY));
  snprintf(path, sizeof(path), "%s/absolute", folder);
  Tell("absolute link", OpenAndClose(path, O_RDONLY));
  snprintf(path, sizeof(path), "%s/fifo", folder);
  Tell("fifo", OpenAndClose(path, O_RDONLY));
  Tell("host", OpenAndClose("/etc/passwd", O_RDONLY));
  DIR *dir = opendir(folder);
  Tell("opendir", dir == NULL ? -1 : 0);
  int entries = 0;
  struct dirent *entry;
  while (dir != NULL && (entry = readdir(dir)) != NULL) {
    if (strcmp(entry->d_name, "greeting") == 0) printf("listed: greeting\n");
    ++entries;
  }
  printf("entries: %d\n", entries);
  struct stat stat_of;
  snprintf(path, sizeof(path), "%s/greeting", folder);
  Tell("stat", stat(path, &stat_of));
  printf("size: %lld\n", (long long)stat_of.st_size);
  snprintf(path, sizeof(path), "%s/new", folder);
  Tell("unlink", unlink(path));
  return 0;
}

static int CountEntries(const char *folder) {
  DIR *dir = opendir(folder);
  int entries = 0;
  while (dir != NULL && readdir(dir) != NULL) ++entries;
  if (dir != NULL) closedir(dir);
  return entries;
}

// Leaves files in /tmp, reads one back after a while, and ends as asked.
static int Tmp(const char *end) {
  char text[128] = "";
  struct timespec moment = {0, 20 * 1000000};
  Head();
  printf("entries: %d\n", CountEntries("/tmp"));
  Tell("mkdir", mkdir("/tmp/folder", 0755));
  int fd = open("/tmp/folder/file", O_RDWR | O_CREAT | O_EXCL, 0644);
  Tell("create", fd);
  Tell("write", (int)write(fd, end, strlen(end)));
  nanosleep(&moment, NULL);
  Tell("read", (int)pread(fd, text, sizeof(text) - 1, 0));
  printf("text: %s\nentries: %d\n", text, CountEntries("/tmp"));
  if (strcmp(end, "trap") == 0) abort();
  while (strcmp(end, "loop") == 0) continue;
  return strcmp(end, "exit") == 0 ? 5 : 0;
}

// Fills /tmp until it takes no more.
static int Fill(void) {
  static char block[65536];
  long long bytes = 0;
  Head();
  int fd = open("/tmp/fill", O_WRONLY | O_CREAT, 0644);
  Tell("create", fd);
  ssize_t written = 0;
  while ((written = write(fd, block, sizeof(block))) > 0) bytes += written;
  Tell("write", (int)written);
  printf("bytes: %lld\n", bytes);
  return 0;
}

static int Stderr(size_t bytes) {
  Head();
  for (size_t i = 0; i < bytes; ++i) fputc('e', stderr);
  printf("done\n");
  return 0;
}

int main(int argc, char **argv) {
  const char *query = getenv("QUERY_STRING");
  char verb[64] = "";
  char argument[128] = "";
  if (query != NULL) sscanf(query, "%63[^=]=%127s", verb, argument);
  if (strcmp(verb, "echo") == 0) return Echo();
  if (strcmp(verb, "environment") == 0) return Environment();
  if (strcmp(verb, "big") == 0) return Big((size_t)atoll(argument));
  if (strcmp(verb, "allocate") == 0) return Allocate((size_t)atoll(argument));
  if (strcmp(verb, "counter") == 0) return Counter();
  if (strcmp(verb, "sleep") == 0) return Sleep(atol(argument));
  if (strcmp(verb, "exit") == 0) exit(atoi(argument));
  if (strcmp(verb, "files") == 0) return Files(argument);
  if (strcmp(verb, "tmp") == 0) return Tmp(argument);
  if (strcmp(verb, "fill") == 0) return Fill();
  if (strcmp(verb, "stderr") == 0) return Stderr((size_t)atoll(argument));
  if (strcmp(verb, "abort") == 0) abort();
  Head();
  printf("argc=%d argv0=%s\n", argc, argv[0]);
  return 0;
}
