// Calls WASI preview 1 directly and prints each answer, for two implementations to be compared.
// It has one folder, 3, which is writable and holds in.txt ("0123456789"). Left out is where docs/engines.md says that they
// differ.
#include <stdio.h>
#include <string.h>
#include <wasi/api.h>

enum { kFolder = 3, kBad = 99 };
static const __wasi_rights_t kReadWrite = __WASI_RIGHTS_FD_READ | __WASI_RIGHTS_FD_WRITE | __WASI_RIGHTS_FD_SEEK |
                                          __WASI_RIGHTS_FD_TELL | __WASI_RIGHTS_FD_FILESTAT_GET |
                                          __WASI_RIGHTS_FD_FILESTAT_SET_SIZE | __WASI_RIGHTS_FD_READDIR |
                                          __WASI_RIGHTS_FD_ALLOCATE | __WASI_RIGHTS_FD_FDSTAT_SET_FLAGS;

static void Say(const char *what, int error) { printf("%s: %d\n", what, error); }

static int Open(const char *path, int oflags, int fdflags, __wasi_rights_t rights, __wasi_fd_t *fd) {
  return __wasi_path_open(kFolder, __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW, path, (__wasi_oflags_t)oflags, rights, rights,
                          (__wasi_fdflags_t)fdflags, fd);
}

static int Put(__wasi_fd_t fd, const char *text, size_t *put) {
  __wasi_ciovec_t piece = {(const uint8_t *)text, strlen(text)};
  return __wasi_fd_write(fd, &piece, 1, put);
}

static void SayStat(const char *what, const char *path) {
  __wasi_filestat_t stat;
  const int error = __wasi_path_filestat_get(kFolder, 0, path, &stat);
  printf("%s: %d", what, error);
  if (error == 0) printf(" type %d size %lld links %lld", stat.filetype, (long long)stat.size, (long long)stat.nlink);
  printf("\n");
}

static void Descriptors(void) {
  __wasi_fdstat_t stat;
  for (__wasi_fd_t fd = 0; fd < 5; ++fd) printf("fdstat %d: %d\n", (int)fd, __wasi_fd_fdstat_get(fd, &stat));
  Say("fdstat of the folder", __wasi_fd_fdstat_get(kFolder, &stat));
  printf("the folder's type: %d\n", stat.fs_filetype);
  __wasi_prestat_t prestat;
  Say("prestat 3", __wasi_fd_prestat_get(kFolder, &prestat));
  printf("its name's length: %d\n", (int)prestat.u.dir.pr_name_len);
  char name[32] = {0};
  Say("its name", __wasi_fd_prestat_dir_name(kFolder, (uint8_t *)name, prestat.u.dir.pr_name_len));
  printf("%s\n", name);
  Say("its name, too short", __wasi_fd_prestat_dir_name(kFolder, (uint8_t *)name, 1));
  Say("prestat 4", __wasi_fd_prestat_get(4, &prestat));
  Say("prestat 0", __wasi_fd_prestat_get(0, &prestat));
  Say("close a bad one", __wasi_fd_close(kBad));
  size_t put;
  Say("write to a bad one", Put(kBad, "x", &put));
  Say("write to the folder", Put(kFolder, "x", &put));
  Say("write to standard input", Put(0, "x", &put));
  __wasi_filesize_t at;
  Say("seek a bad one", __wasi_fd_seek(kBad, 0, __WASI_WHENCE_SET, &at));
  Say("seek the folder", __wasi_fd_seek(kFolder, 0, __WASI_WHENCE_SET, &at));
  Say("sync a bad one", __wasi_fd_sync(kBad));
  Say("advise a bad one", __wasi_fd_advise(kBad, 0, 0, 0));
}

static void Files(void) {
  __wasi_fd_t fd;
  Say("open what is not there", Open("no.txt", 0, 0, kReadWrite, &fd));
  Say("open a folder's file that is not there", Open("no/no.txt", 0, 0, kReadWrite, &fd));
  Say("open outside", Open("../x", 0, 0, kReadWrite, &fd));
  Say("open absolute", Open("/etc/passwd", 0, 0, kReadWrite, &fd));
  Say("open nothing", Open("", 0, 0, kReadWrite, &fd));
  Say("open a file as a folder", Open("in.txt", __WASI_OFLAGS_DIRECTORY, 0, __WASI_RIGHTS_FD_READ, &fd));
  Say("open below a file", Open("in.txt/x", 0, 0, __WASI_RIGHTS_FD_READ, &fd));
  Say("create what is there", Open("in.txt", __WASI_OFLAGS_CREAT | __WASI_OFLAGS_EXCL, 0, kReadWrite, &fd));
  Say("create", Open("new.txt", __WASI_OFLAGS_CREAT | __WASI_OFLAGS_EXCL, 0, kReadWrite, &fd));
  size_t count = 0;
  Say("write", Put(fd, "hello, world", &count));
  printf("%d bytes\n", (int)count);
  __wasi_filesize_t at = 0;
  Say("tell", __wasi_fd_tell(fd, &at));
  printf("at %d\n", (int)at);
  Say("seek to 7", __wasi_fd_seek(fd, 7, __WASI_WHENCE_SET, &at));
  Say("seek back too far", __wasi_fd_seek(fd, -100, __WASI_WHENCE_CUR, &at));
  char text[32] = {0};
  __wasi_iovec_t pieces[1] = {{(uint8_t *)text, 20}};
  Say("read", __wasi_fd_read(fd, pieces, 1, &count));
  printf("%d bytes %s\n", (int)count, text);
  Say("read at the end", __wasi_fd_read(fd, pieces, 1, &count));
  printf("%d bytes\n", (int)count);
  Say("read at 0", __wasi_fd_pread(fd, pieces, 1, 0, &count));
  printf("%d bytes %c%c\n", (int)count, text[0], text[1]);
  __wasi_ciovec_t piece = {(const uint8_t *)"J", 1};
  Say("write at 0", __wasi_fd_pwrite(fd, &piece, 1, 0, &count));
  Say("cut", __wasi_fd_filestat_set_size(fd, 5));
  SayStat("after it", "new.txt");
  Say("advise", __wasi_fd_advise(fd, 0, 10, __WASI_ADVICE_SEQUENTIAL));
  Say("sync", __wasi_fd_sync(fd));
  Say("datasync", __wasi_fd_datasync(fd));
  Say("append from now on", __wasi_fd_fdstat_set_flags(fd, __WASI_FDFLAGS_APPEND));
  Say("set its times", __wasi_fd_filestat_set_times(fd, 5000000000, 7000000000,
                                                   __WASI_FSTFLAGS_ATIM | __WASI_FSTFLAGS_MTIM));
  __wasi_filestat_t stat;
  Say("stat it", __wasi_fd_filestat_get(fd, &stat));
  printf("type %d, modified %lld\n", stat.filetype, (long long)stat.mtim);
  Say("set its times two ways",
      __wasi_fd_filestat_set_times(fd, 0, 0, __WASI_FSTFLAGS_MTIM | __WASI_FSTFLAGS_MTIM_NOW));
  Say("close", __wasi_fd_close(fd));
  Say("close again", __wasi_fd_close(fd));
  Say("open to read", Open("in.txt", 0, 0, __WASI_RIGHTS_FD_READ, &fd));
  Say("write to it", Put(fd, "x", &count));
  Say("cut it", __wasi_fd_filestat_set_size(fd, 0));
  Say("close it", __wasi_fd_close(fd));
  Say("open to append", Open("in.txt", 0, __WASI_FDFLAGS_APPEND, __WASI_RIGHTS_FD_WRITE, &fd));
  Say("append", Put(fd, "ab", &count));
  Say("read from it", __wasi_fd_read(fd, pieces, 1, &count));
  Say("close that", __wasi_fd_close(fd));
  SayStat("longer", "in.txt");
  Say("open and cut", Open("in.txt", __WASI_OFLAGS_TRUNC, 0, kReadWrite, &fd));
  SayStat("empty", "in.txt");
  __wasi_fd_t other;
  Say("open another", Open("new.txt", 0, 0, kReadWrite, &other));
  Say("renumber", __wasi_fd_renumber(other, fd));
  Say("the old number", Put(other, "x", &count));
  Say("renumber a bad one", __wasi_fd_renumber(kBad, fd));
  Say("close the new number", __wasi_fd_close(fd));
}

static int CompareNames(const char *a, const char *b) { return strcmp(a, b); }

static void List(__wasi_fd_t fd) {
  uint8_t buffer[4096];
  size_t used = 0;
  Say("readdir", __wasi_fd_readdir(fd, buffer, sizeof(buffer), 0, &used));
  static char names[16][32];
  int count = 0;
  for (size_t at = 0; at + sizeof(__wasi_dirent_t) <= used && count < 16;) {
    __wasi_dirent_t entry;
    memcpy(&entry, buffer + at, sizeof(entry));
    snprintf(names[count++], sizeof(names[0]), "%.*s type %d", (int)entry.d_namlen, buffer + at + sizeof(entry),
             entry.d_type);
    at += sizeof(entry) + entry.d_namlen;
  }
  for (int i = 0; i < count; ++i) {
    int least = i;
    for (int j = i + 1; j < count; ++j) {
      if (CompareNames(names[j], names[least]) < 0) least = j;
    }
    char name[32];
    memcpy(name, names[i], sizeof(name));
    memcpy(names[i], names[least], sizeof(name));
    memcpy(names[least], name, sizeof(name));
    printf("%s\n", names[i]);
  }
  Say("readdir into little", __wasi_fd_readdir(fd, buffer, 30, 0, &used));
  printf("%d bytes\n", (int)used);
}

static void Folders(void) {
  Say("mkdir", __wasi_path_create_directory(kFolder, "d"));
  Say("mkdir again", __wasi_path_create_directory(kFolder, "d"));
  Say("mkdir deep", __wasi_path_create_directory(kFolder, "e/f"));
  Say("mkdir outside", __wasi_path_create_directory(kFolder, "../out"));
  __wasi_fd_t fd;
  Say("open it", Open("d", __WASI_OFLAGS_DIRECTORY, 0, __WASI_RIGHTS_FD_READDIR, &fd));
  __wasi_fd_t file;
  Say("create in it",
      __wasi_path_open(fd, 0, "x.txt", __WASI_OFLAGS_CREAT, kReadWrite, kReadWrite, 0, &file));
  Say("close the file", __wasi_fd_close(file));
  Say("out of it by ..", __wasi_path_open(fd, 0, "../in.txt", 0, kReadWrite, kReadWrite, 0, &file));
  List(fd);
  size_t used;
  Say("readdir of a bad one", __wasi_fd_readdir(kBad, (uint8_t *)&used, 4, 0, &used));
  Say("close it", __wasi_fd_close(fd));
  Say("remove while it is full", __wasi_path_remove_directory(kFolder, "d"));
  Say("remove a file as a folder", __wasi_path_remove_directory(kFolder, "in.txt"));
  Say("unlink a folder", __wasi_path_unlink_file(kFolder, "d"));
  Say("rename", __wasi_path_rename(kFolder, "d/x.txt", kFolder, "d/y.txt"));
  Say("rename what is not there", __wasi_path_rename(kFolder, "d/x.txt", kFolder, "d/z.txt"));
  Say("rename a folder to a file", __wasi_path_rename(kFolder, "d", kFolder, "in.txt"));
  Say("rename outside", __wasi_path_rename(kFolder, "in.txt", kFolder, "../in.txt"));
  Say("link", __wasi_path_link(kFolder, 0, "d/y.txt", kFolder, "hard.txt"));
  SayStat("with two names", "hard.txt");
  Say("link again", __wasi_path_link(kFolder, 0, "d/y.txt", kFolder, "hard.txt"));
  Say("unlink", __wasi_path_unlink_file(kFolder, "d/y.txt"));
  Say("unlink again", __wasi_path_unlink_file(kFolder, "d/y.txt"));
  Say("unlink outside", __wasi_path_unlink_file(kFolder, "../x"));
  Say("remove", __wasi_path_remove_directory(kFolder, "d"));
  Say("remove again", __wasi_path_remove_directory(kFolder, "d"));
}

static void Links(void) {
  Say("symlink", __wasi_path_symlink("in.txt", kFolder, "soft"));
  Say("symlink again", __wasi_path_symlink("in.txt", kFolder, "soft"));
  Say("symlink outside", __wasi_path_symlink("../../secret", kFolder, "leak"));
  Say("symlink to absolute", __wasi_path_symlink("/etc/passwd", kFolder, "absolute"));
  char text[32] = {0};
  size_t used = 0;
  Say("readlink", __wasi_path_readlink(kFolder, "soft", (uint8_t *)text, sizeof(text), &used));
  printf("%.*s\n", (int)used, text);
  Say("readlink into little", __wasi_path_readlink(kFolder, "soft", (uint8_t *)text, 2, &used));
  printf("%d bytes\n", (int)used);
  Say("readlink of a file", __wasi_path_readlink(kFolder, "in.txt", (uint8_t *)text, sizeof(text), &used));
  __wasi_fd_t fd;
  Say("open through it", Open("soft", 0, 0, __WASI_RIGHTS_FD_READ, &fd));
  Say("close it", __wasi_fd_close(fd));
  Say("open it itself", __wasi_path_open(kFolder, 0, "soft", 0, kReadWrite, kReadWrite, 0, &fd));
  Say("open through the one outside", Open("leak", 0, 0, __WASI_RIGHTS_FD_READ, &fd));
  SayStat("the link", "soft");
}

static void Others(void) {
  __wasi_timestamp_t time = 0;
  Say("monotonic clock", __wasi_clock_time_get(__WASI_CLOCKID_MONOTONIC, 1, &time));
  Say("wall clock", __wasi_clock_time_get(__WASI_CLOCKID_REALTIME, 1, &time));
  Say("clock's resolution", __wasi_clock_res_get(__WASI_CLOCKID_MONOTONIC, &time));
  uint8_t bytes[8];
  Say("random", __wasi_random_get(bytes, sizeof(bytes)));
  Say("random none", __wasi_random_get(bytes, 0));
  Say("yield", __wasi_sched_yield());
  __wasi_event_t event;
  size_t count = 0;
  Say("poll nothing", __wasi_poll_oneoff(NULL, &event, 0, &count));
  __wasi_subscription_t subscription = {.userdata = 42, .u = {.tag = __WASI_EVENTTYPE_CLOCK}};
  subscription.u.u.clock.id = __WASI_CLOCKID_MONOTONIC;
  subscription.u.u.clock.timeout = 1000;
  Say("poll a clock", __wasi_poll_oneoff(&subscription, &event, 1, &count));
  printf("%d event, of %d, error %d\n", (int)count, (int)event.userdata, event.error);
  subscription.u.tag = __WASI_EVENTTYPE_FD_WRITE;
  subscription.u.u.fd_write.file_descriptor = 1;
  Say("poll standard output", __wasi_poll_oneoff(&subscription, &event, 1, &count));
  printf("%d event, error %d\n", (int)count, event.error);
}

int main(void) {
  Descriptors();
  Files();
  Folders();
  Links();
  Others();
  return 0;
}
