// The guest of most cases: what it does is its first argument.
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

static int Arguments(int count, char **values) {
  for (int i = 1; i < count; ++i) printf("[%s]\n", values[i]);
  return 0;
}

static int Environment(void) {
  for (char **entry = environ; *entry != NULL; ++entry) printf("%s\n", *entry);
  return 0;
}

static int Echo(void) {
  static char buffer[65536];
  for (;;) {
    ssize_t got = read(0, buffer, sizeof(buffer));
    if (got < 0) return 1;
    if (got == 0) return 0;
    for (ssize_t done = 0; done < got;) {
      ssize_t put = write(1, buffer + done, (size_t)(got - done));
      if (put <= 0) return 2;
      done += put;
    }
  }
}

static int ReadFolder(void) {
  char text[64] = {0};
  int fd = open("/data/in.txt", O_RDONLY);
  if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0) return 1;
  printf("%s", text);
  return close(fd) == 0 ? 0 : 2;
}

// Every way to change a folder that was granted read-only, and what came of it.
static int WriteReadOnly(void) {
  if (ReadFolder() != 0) return 1;
  int fd = open("/data/new.txt", O_WRONLY | O_CREAT, 0666);
  printf("create %s\n", fd < 0 ? "refused" : "done");
  fd = open("/data/in.txt", O_WRONLY);
  printf("write %s\n", fd < 0 || write(fd, "x", 1) < 0 ? "refused" : "done");
  printf("unlink %s\n", unlink("/data/in.txt") < 0 ? "refused" : "done");
  printf("mkdir %s\n", mkdir("/data/folder", 0777) < 0 ? "refused" : "done");
  printf("rename %s\n", rename("/data/in.txt", "/data/out.txt") < 0 ? "refused" : "done");
  return 0;
}

static int WriteFolder(void) {
  if (mkdir("/data/sub", 0777) != 0) return 1;
  FILE *file = fopen("/data/sub/a.txt", "w");
  if (file == NULL || fputs("written by the guest\n", file) < 0 || fclose(file) != 0) return 2;
  if (rename("/data/sub/a.txt", "/data/sub/b.txt") != 0) return 3;
  struct stat stat_;
  if (stat("/data/sub/b.txt", &stat_) != 0 || !S_ISREG(stat_.st_mode)) return 4;
  printf("%lld bytes\n", (long long)stat_.st_size);
  DIR *folder = opendir("/data/sub");
  if (folder == NULL) return 5;
  for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
    if (entry->d_name[0] != '.') printf("%s\n", entry->d_name);
  }
  closedir(folder);
  if (open("/data/../secret.txt", O_RDONLY) >= 0) return 6;
  return 0;
}

static double Seconds(clockid_t clock) {
  struct timespec time;
  if (clock_gettime(clock, &time) != 0) return -1;
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

// The wall clock as a number, for the host to compare; that the other moves on, by a sleep.
static int Clocks(void) {
  struct timespec resolution;
  if (clock_getres(CLOCK_MONOTONIC, &resolution) != 0) return 1;
  if (resolution.tv_sec == 0 && resolution.tv_nsec == 0) return 2;
  const double began = Seconds(CLOCK_MONOTONIC);
  struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};
  if (nanosleep(&pause, NULL) != 0) return 3;
  const double passed = Seconds(CLOCK_MONOTONIC) - began;
  if (passed < 0.019) return 4;
  printf("%.3f\n", Seconds(CLOCK_REALTIME));
  return 0;
}

static int Random(void) {
  unsigned char bytes[256];
  if (getentropy(bytes, sizeof(bytes)) != 0) return 1;
  for (size_t i = 0; i < sizeof(bytes); ++i) printf("%02x", bytes[i]);
  printf("\n");
  return 0;
}

static int Sleep(long seconds) {
  struct timespec pause = {.tv_sec = seconds};
  return nanosleep(&pause, NULL);
}

static int Allocate(long mebibytes) {
  for (long i = 0; i < mebibytes; ++i) {
    char *volatile piece = malloc(1 << 20);
    if (piece == NULL) return 9;
    memset(piece, 1, 1 << 20);
  }
  printf("allocated %ld MiB\n", mebibytes);
  return 0;
}

int main(int count, char **values) {
  const char *verb = count > 1 ? values[1] : "";
  const long number = count > 2 ? strtol(values[2], NULL, 10) : 0;
  if (strcmp(verb, "arguments") == 0) return Arguments(count - 1, values + 1);
  if (strcmp(verb, "environment") == 0) return Environment();
  if (strcmp(verb, "echo") == 0) return Echo();
  if (strcmp(verb, "exit") == 0) return (int)number;
  if (strcmp(verb, "folder-read") == 0) return WriteReadOnly();
  if (strcmp(verb, "folder-write") == 0) return WriteFolder();
  if (strcmp(verb, "clocks") == 0) return Clocks();
  if (strcmp(verb, "random") == 0) return Random();
  if (strcmp(verb, "sleep") == 0) return Sleep(number);
  if (strcmp(verb, "allocate") == 0) return Allocate(number);
  printf("hello\n");
  return 0;
}
