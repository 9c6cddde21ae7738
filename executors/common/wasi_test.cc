#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/file.h"
#include "executors/common/wasi_errno.h"
#include "executors/common/wasi_fixture.h"

namespace hybridserve::wasi {
namespace {

TEST_F(WasiTest, EveryFunctionOfPreview1IsThereOnceAndSorted) {
  const auto functions = HostFunctions();
  EXPECT_EQ(functions.size(), 46u);
  EXPECT_TRUE(std::is_sorted(functions.begin(), functions.end(),
                             [](const auto& a, const auto& b) { return a.name < b.name; }));
  for (const HostFunction& function : functions) {
    EXPECT_LE(function.parameters.size(), kMaxParameters) << function.name;
  }
}

// Every pointer argument at once points beyond the memory's end: an errno, never a crash.
TEST_F(WasiTest, WildPointersAreErrors) {
  invocation_.environment = {std::string_view("A=1\0", 4), 1};
  Begin();
  for (const HostFunction& function : HostFunctions()) {
    if (function.name == "proc_exit" || function.name == "sched_yield") continue;
    for (const uint64_t wild : {uint64_t{65535}, uint64_t{0xffffffff}, uint64_t{0xfffffff0}}) {
      std::vector<uint64_t> arguments(kMaxParameters, wild);
      EXPECT_NE((wasi_.*function.call)(memory_, arguments.data()), kOk) << function.name;
      arguments[0] = 1;
      (void)(wasi_.*function.call)(memory_, arguments.data());
    }
  }
}

TEST_F(WasiTest, EnvironmentIsTheRequestsThenTheFunctions) {
  const std::string request("A=1\0B=22\0", 9);
  const std::string environment("C=\0", 3);
  invocation_.request_variables = {request, 2};
  invocation_.environment = {environment, 1};
  Begin();
  ASSERT_EQ(Call("environ_sizes_get", {100, 104}), kOk);
  EXPECT_EQ(Get<uint32_t>(100), 3u);
  EXPECT_EQ(Get<uint32_t>(104), 12u);
  ASSERT_EQ(Call("environ_get", {200, 300}), kOk);
  EXPECT_EQ(Get<uint32_t>(200), 300u);
  EXPECT_EQ(Get<uint32_t>(204), 304u);
  EXPECT_EQ(Get<uint32_t>(208), 309u);
  EXPECT_EQ(Text(300, 12), request + environment);
}

TEST_F(WasiTest, ThereIsOneArgument) {
  Begin();
  ASSERT_EQ(Call("args_sizes_get", {100, 104}), kOk);
  EXPECT_EQ(Get<uint32_t>(100), 1u);
  ASSERT_EQ(Call("args_get", {200, 300}), kOk);
  EXPECT_EQ(Text(300, Get<uint32_t>(104)), std::string("function\0", 9));
}

TEST_F(WasiTest, BodyIsReadInPiecesToItsEnd) {
  invocation_.body = "abcdef";
  Begin();
  EXPECT_EQ(Read(0, 4), "abcd");
  EXPECT_EQ(Read(0, 4), "ef");
  EXPECT_EQ(Read(0, 4), "");
  EXPECT_EQ(Read(1, 4), "error " + std::to_string(Of(Errno::kBadf)));
}

TEST_F(WasiTest, OutputAndLogAreApart) {
  Begin();
  EXPECT_EQ(Write(1, "out"), kOk);
  EXPECT_EQ(Write(2, "log"), kOk);
  EXPECT_EQ(Write(0, "x"), Of(Errno::kBadf));
  EXPECT_EQ(Write(3, "x"), Of(Errno::kBadf));
  wasi_.End();
  EXPECT_EQ(wasi_.output().view(), "out");
  EXPECT_EQ(wasi_.log(), "log");
}

TEST_F(WasiTest, OutputOverItsLimitStopsTheGuestAndLogDoesNot) {
  invocation_.output_limit_bytes = 10;
  Begin();
  for (uint64_t written = 0; written < kMaxLogBytes + 5000; written += 1000) {
    EXPECT_EQ(Write(2, std::string(1000, 'l')), kOk);
    EXPECT_EQ(Get<uint32_t>(8), 1000u);
  }
  EXPECT_EQ(wasi_.log().size(), kMaxLogBytes);
  EXPECT_EQ(Write(1, "12345678901"), kStop);
  EXPECT_EQ(wasi_.stop_reason(), StopReason::kOutputLimit);
}

TEST_F(WasiTest, ExitStopsWithItsStatus) {
  Begin();
  EXPECT_EQ(Call("proc_exit", {7}), kStop);
  EXPECT_EQ(wasi_.stop_reason(), StopReason::kExit);
  EXPECT_EQ(wasi_.exit_code(), 7u);
}

TEST_F(WasiTest, StreamsAreNoTerminalsAndCannotBeSought) {
  Begin();
  for (const uint32_t fd : {0u, 1u, 2u}) {
    ASSERT_EQ(Call("fd_fdstat_get", {fd, 100}), kOk);
    EXPECT_NE(Get<Fdstat>(100).filetype, FileType::kCharacterDevice);
    EXPECT_EQ(Call("fd_seek", {fd, 0, 0, 100}), Of(Errno::kSpipe));
    EXPECT_EQ(Call("fd_pread", {fd, 0, 1, 0, 8}), Of(Errno::kSpipe));
  }
}

TEST_F(WasiTest, MonotonicClockTellsNothingOfTheHost) {
  Begin();
  ASSERT_EQ(Call("clock_time_get", {kClockMonotonic, 1, 100}), kOk);
  EXPECT_LT(Get<uint64_t>(100), 10'000'000'000u);
  EXPECT_EQ(Call("clock_time_get", {9, 1, 100}), Of(Errno::kInval));
  ASSERT_EQ(Call("clock_time_get", {kClockThreadCpu, 1, 100}), kOk);
  EXPECT_LT(Get<uint64_t>(100), 1'000'000'000u);
}

TEST_F(WasiTest, RandomBytesDiffer) {
  Begin();
  ASSERT_EQ(Call("random_get", {100, 32}), kOk);
  const std::string first = Text(100, 32);
  ASSERT_EQ(Call("random_get", {100, 32}), kOk);
  EXPECT_NE(Text(100, 32), first);
}

TEST_F(WasiTest, PollReportsWhatIsReadyWithoutSleeping) {
  invocation_.body = "abc";
  Begin();
  const Subscription clock{
      .userdata = 1, .clock_or_fd = kClockMonotonic, .timeout = 3'600'000'000'000};
  const Subscription input{.userdata = 2, .type = kEventFdRead, .clock_or_fd = 0};
  const Subscription nothing{.userdata = 3, .type = kEventFdRead, .clock_or_fd = 77};
  memory_.Write(1000, clock);
  memory_.Write(1048, input);
  memory_.Write(1096, nothing);
  ASSERT_EQ(Call("poll_oneoff", {1000, 2000, 3, 8}), kOk);
  ASSERT_EQ(Get<uint32_t>(8), 2u);
  EXPECT_EQ(Get<Event>(2000).userdata, 2u);
  EXPECT_EQ(Get<Event>(2000).nbytes, 3u);
  EXPECT_EQ(Get<Event>(2032).error, Errno::kBadf);
}

TEST_F(WasiTest, PollSleepsUntilTheNextOfItsClocks) {
  Begin();
  const Subscription later{
      .userdata = 1, .clock_or_fd = kClockMonotonic, .timeout = 3'600'000'000'000};
  const Subscription soon{.userdata = 2, .clock_or_fd = kClockRealtime, .timeout = 2'000'000};
  memory_.Write(1000, later);
  memory_.Write(1048, soon);
  const auto began = SteadyClock::now();
  ASSERT_EQ(Call("poll_oneoff", {1000, 2000, 2, 8}), kOk);
  EXPECT_GE(SteadyClock::now() - began, std::chrono::milliseconds(2));
  EXPECT_EQ(Get<uint32_t>(8), 1u);
  EXPECT_EQ(Get<Event>(2000).userdata, 2u);
  EXPECT_EQ(Call("poll_oneoff", {1000, 2000, 0, 8}), Of(Errno::kInval));
}

// Files, below a granted folder.

class WasiFilesTest : public WasiTest {
 protected:
  void Grant(bool writable) {
    const auto granted = root_.path() / "granted";
    std::filesystem::create_directories(granted / "sub/deep");
    ASSERT_TRUE(WriteFileAtomically(root_.path() / "secret", "secret"));
    ASSERT_TRUE(WriteFileAtomically(granted / "file", "0123456789"));
    std::filesystem::create_symlink("sub", granted / "inside");
    std::filesystem::create_symlink("..", granted / "outside");
    std::filesystem::create_symlink("/", granted / "root");
    folder_fd_.Reset(::open(granted.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    folders_ = {{.fd = folder_fd_.get(), .guest_path = "/data", .writable = writable}};
    invocation_.folders = folders_;
    Begin();
  }
  // path_open of `path` below the grant; `fd` on success.
  uint32_t Open(std::string_view path, uint32_t& fd, uint64_t rights = kRightsFdRead,
                uint16_t oflags = 0, uint32_t lookup = kLookupFollow, uint16_t fdflags = 0) {
    Put(500, path);
    const uint32_t error =
        Call("path_open", {3, lookup, 500, path.size(), oflags, rights, kRightsAll, fdflags, 8});
    if (error == kOk) fd = Get<uint32_t>(8);
    return error;
  }
  uint32_t Path(std::string_view function, std::string_view path) {
    Put(500, path);
    return Call(function, {3, 500, path.size()});
  }

  TemporaryFolder root_;
  UniqueFd folder_fd_;
  std::vector<Folder> folders_;
};

TEST_F(WasiFilesTest, GrantIsPreopenedUnderItsName) {
  Grant(true);
  ASSERT_EQ(Call("fd_prestat_get", {3, 100}), kOk);
  EXPECT_EQ(Get<uint32_t>(104), 5u);
  ASSERT_EQ(Call("fd_prestat_dir_name", {3, 200, 5}), kOk);
  EXPECT_EQ(Text(200, 5), "/data");
  EXPECT_EQ(Call("fd_prestat_dir_name", {3, 200, 4}), Of(Errno::kNametoolong));
  EXPECT_EQ(Call("fd_prestat_get", {4, 100}), Of(Errno::kBadf));
}

class EscapeTest : public WasiFilesTest, public testing::WithParamInterface<const char*> {};

TEST_P(EscapeTest, IsRefusedByEveryFunction) {
  Grant(true);
  const std::string path = GetParam();
  uint32_t fd = 0;
  EXPECT_EQ(Open(path, fd), Of(Errno::kPerm));
  EXPECT_EQ(Open(path, fd, kReadWrite, kOpenCreate), Of(Errno::kPerm));
  EXPECT_EQ(Path("path_create_directory", path), Of(Errno::kPerm));
  EXPECT_EQ(Path("path_unlink_file", path), Of(Errno::kPerm));
  EXPECT_EQ(Path("path_remove_directory", path), Of(Errno::kPerm));
  Put(500, path);
  Put(700, "file");
  EXPECT_EQ(Call("path_filestat_get", {3, kLookupFollow, 500, path.size(), 100}), Of(Errno::kPerm));
  EXPECT_EQ(Call("path_rename", {3, 700, 4, 3, 500, path.size()}), Of(Errno::kPerm));
  EXPECT_EQ(Call("path_rename", {3, 500, path.size(), 3, 700, 4}), Of(Errno::kPerm));
  EXPECT_EQ(Call("path_link", {3, 0, 500, path.size(), 3, 700, 4}), Of(Errno::kPerm));
  EXPECT_EQ(Call("path_link", {3, 0, 700, 4, 3, 500, path.size()}), Of(Errno::kPerm));
  EXPECT_EQ(Call("path_readlink", {3, 500, path.size(), 100, 100, 8}), Of(Errno::kPerm));
  EXPECT_EQ(Call("path_symlink", {700, 4, 3, 500, path.size()}), Of(Errno::kPerm));
  for (const uint32_t follow : {0u, kLookupFollow}) {
    EXPECT_EQ(Call("path_filestat_set_times",
                   {3, follow, 500, path.size(), 0, 0, kSetModificationTimeNow}),
              Of(Errno::kPerm));
  }
  EXPECT_EQ(*ReadFile(root_.path() / "secret"), "secret");
}

INSTANTIATE_TEST_SUITE_P(Paths, EscapeTest,
                         testing::Values("../secret", "sub/../../secret", "outside/secret",
                                         "/etc/passwd", "root/etc/passwd", "sub/deep/../../../x"));

TEST_F(WasiFilesTest, LinkAtThePathsEndIsNotFollowedThroughASlash) {
  Grant(true);
  struct stat before {};
  ASSERT_EQ(::stat(root_.path().c_str(), &before), 0);
  Put(500, "outside/");
  EXPECT_EQ(Call("path_filestat_set_times", {3, 0, 500, 8, 0, 1, kSetModificationTime}),
            Of(Errno::kNotdir));
  struct stat after {};
  ASSERT_EQ(::stat(root_.path().c_str(), &after), 0);
  EXPECT_EQ(before.st_mtime, after.st_mtime);
}

TEST_F(WasiFilesTest, LinksAndDotsThatStayInsideWork) {
  Grant(false);
  uint32_t fd = 0;
  EXPECT_EQ(Open("inside/../file", fd), kOk);
  EXPECT_EQ(Read(fd, 4), "0123");
  EXPECT_EQ(Open("inside", fd, kRightsFdRead, 0, /*lookup=*/0), Of(Errno::kLoop));
}

TEST_F(WasiFilesTest, FileIsReadWrittenSoughtAndTruncated) {
  Grant(true);
  uint32_t fd = 0;
  ASSERT_EQ(Open("new", fd, kReadWrite, kOpenCreate | kOpenExclusive), kOk);
  EXPECT_EQ(Write(fd, "hello world"), kOk);
  EXPECT_EQ(Call("fd_seek", {fd, 6, kWhenceSet, 100}), kOk);
  EXPECT_EQ(Read(fd, 100), "world");
  EXPECT_EQ(Call("fd_tell", {fd, 100}), kOk);
  EXPECT_EQ(Get<uint64_t>(100), 11u);
  Buffer(1000, 5);
  EXPECT_EQ(Call("fd_pread", {fd, 0, 1, 0, 8}), kOk);
  EXPECT_EQ(Text(1000, 5), "hello");
  Put(1000, "J");
  Buffer(1000, 1);
  EXPECT_EQ(Call("fd_pwrite", {fd, 0, 1, 0, 8}), kOk);
  EXPECT_EQ(Call("fd_filestat_set_size", {fd, 5}), kOk);
  EXPECT_EQ(Call("fd_filestat_get", {fd, 100}), kOk);
  EXPECT_EQ(Get<Filestat>(100).size, 5u);
  EXPECT_EQ(Get<Filestat>(100).filetype, FileType::kRegularFile);
  EXPECT_EQ(Call("fd_sync", {fd}), kOk);
  EXPECT_EQ(Call("fd_allocate", {fd, 0, 100}), kOk);
  EXPECT_EQ(Call("fd_close", {fd}), kOk);
  EXPECT_EQ(Read(fd, 1), "error " + std::to_string(Of(Errno::kBadf)));
  EXPECT_EQ(ReadFile(root_.path() / "granted/new")->substr(0, 5), "Jello");
  EXPECT_EQ(Open("new", fd, kReadWrite, kOpenCreate | kOpenExclusive), Of(Errno::kExist));
}

TEST_F(WasiFilesTest, AppendAlwaysWritesAtTheEnd) {
  Grant(true);
  uint32_t fd = 0;
  ASSERT_EQ(Open("file", fd, kReadWrite, 0, kLookupFollow, kFdAppend), kOk);
  EXPECT_EQ(Call("fd_seek", {fd, 0, kWhenceSet, 100}), kOk);
  EXPECT_EQ(Write(fd, "!"), kOk);
  EXPECT_EQ(*ReadFile(root_.path() / "granted/file"), "0123456789!");
}

TEST_F(WasiFilesTest, ReadOnlyGrantRefusesEveryChange) {
  Grant(false);
  uint32_t fd = 0;
  EXPECT_EQ(Open("file", fd), kOk);
  EXPECT_EQ(Write(fd, "x"), Of(Errno::kBadf));
  EXPECT_EQ(Call("fd_filestat_set_size", {fd, 0}), Of(Errno::kInval));
  EXPECT_EQ(Call("fd_filestat_set_times", {fd, 0, 0, kSetAccessTimeNow}), Of(Errno::kBadf));
  EXPECT_EQ(Open("file", fd, kReadWrite), Of(Errno::kRofs));
  EXPECT_EQ(Open("file", fd, kRightsFdRead, kOpenTruncate), Of(Errno::kRofs));
  EXPECT_EQ(Open("new", fd, kRightsFdRead, kOpenCreate), Of(Errno::kRofs));
  EXPECT_EQ(Path("path_unlink_file", "file"), Of(Errno::kRofs));
  EXPECT_EQ(Path("path_create_directory", "x"), Of(Errno::kRofs));
  EXPECT_EQ(Path("path_remove_directory", "sub/deep"), Of(Errno::kRofs));
  Put(500, "file");
  Put(600, "other");
  EXPECT_EQ(Call("path_rename", {3, 500, 4, 3, 600, 5}), Of(Errno::kRofs));
  EXPECT_EQ(Call("path_symlink", {500, 4, 3, 600, 5}), Of(Errno::kRofs));
  EXPECT_EQ(Call("path_link", {3, 0, 500, 4, 3, 600, 5}), Of(Errno::kRofs));
  EXPECT_EQ(Call("path_filestat_set_times", {3, 1, 500, 4, 0, 0, kSetAccessTimeNow}),
            Of(Errno::kRofs));
  // A folder opened below a read-only grant is read-only too.
  ASSERT_EQ(Open("sub", fd, kRightsFdReaddir, kOpenDirectory), kOk);
  Put(500, "x");
  EXPECT_EQ(Call("path_create_directory", {fd, 500, 1}), Of(Errno::kRofs));
}

TEST_F(WasiFilesTest, FoldersAreMadeRenamedAndRemoved) {
  Grant(true);
  EXPECT_EQ(Path("path_create_directory", "made/"), kOk);
  Put(500, "made");
  Put(600, "sub/moved");
  EXPECT_EQ(Call("path_rename", {3, 500, 4, 3, 600, 9}), kOk);
  EXPECT_TRUE(std::filesystem::is_directory(root_.path() / "granted/sub/moved"));
  EXPECT_EQ(Path("path_unlink_file", "file/"), Of(Errno::kNotdir));
  EXPECT_EQ(Path("path_remove_directory", "sub"), Of(Errno::kNotempty));
  EXPECT_EQ(Path("path_remove_directory", "sub/moved"), kOk);
  EXPECT_EQ(Path("path_unlink_file", "file"), kOk);
  EXPECT_EQ(Path("path_unlink_file", "file"), Of(Errno::kNoent));
}

TEST_F(WasiFilesTest, RelativeSymbolicLinksCanBeMadeAndReadAndAbsoluteOnesNot) {
  Grant(true);
  Put(500, "sub/deep");
  Put(600, "short");
  EXPECT_EQ(Call("path_symlink", {500, 8, 3, 600, 5}), kOk);
  EXPECT_EQ(Call("path_readlink", {3, 600, 5, 700, 100, 8}), kOk);
  EXPECT_EQ(Text(700, Get<uint32_t>(8)), "sub/deep");
  EXPECT_EQ(Call("path_readlink", {3, 600, 5, 700, 3, 8}), kOk);
  EXPECT_EQ(Get<uint32_t>(8), 3u);
  Put(500, "/etc");
  EXPECT_EQ(Call("path_symlink", {500, 4, 3, 600, 5}), Of(Errno::kPerm));
}

TEST_F(WasiFilesTest, FifosAndDevicesAreNotOpenedAndDoNotBlock) {
  Grant(true);
  ASSERT_EQ(::mkfifo((root_.path() / "granted/fifo").c_str(), 0600), 0);
  uint32_t fd = 0;
  EXPECT_EQ(Open("fifo", fd), Of(Errno::kAccess));
  EXPECT_EQ(Open("fifo", fd, kReadWrite), Of(Errno::kAccess));
}

TEST_F(WasiFilesTest, FolderIsListedWholeThroughASmallBuffer) {
  Grant(false);
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(WriteFileAtomically(root_.path() / ("granted/f" + std::to_string(i)), ""));
  }
  std::vector<std::string> names;
  uint64_t cookie = 0;
  constexpr uint32_t kBuffer = 200;
  while (true) {
    ASSERT_EQ(Call("fd_readdir", {3, 2000, kBuffer, cookie, 8}), kOk);
    const uint32_t used = Get<uint32_t>(8);
    uint32_t at = 0;
    while (at + sizeof(Dirent) <= used) {
      const auto entry = Get<Dirent>(2000 + at);
      if (at + sizeof(entry) + entry.name_bytes > used) break;
      names.push_back(Text(2000 + at + sizeof(entry), entry.name_bytes));
      cookie = entry.next;
      at += static_cast<uint32_t>(sizeof(entry)) + entry.name_bytes;
    }
    if (used < kBuffer) break;
  }
  std::sort(names.begin(), names.end());
  EXPECT_EQ(std::unique(names.begin(), names.end()), names.end());
  EXPECT_EQ(names.size(), 50u + 7u);  // And ".", "..", file, sub and three links.
}

TEST_F(WasiFilesTest, BadPathsAreErrors) {
  Grant(true);
  uint32_t fd = 0;
  EXPECT_EQ(Open("", fd), Of(Errno::kNoent));
  EXPECT_EQ(Open(std::string_view("a\0b", 3), fd), Of(Errno::kIlseq));
  EXPECT_EQ(Open(std::string(5000, 'a'), fd), Of(Errno::kNametoolong));
  EXPECT_EQ(Open("file/x", fd), Of(Errno::kNotdir));
  EXPECT_EQ(Open("file", fd, kRightsFdRead, kOpenDirectory), Of(Errno::kNotdir));
}

TEST_F(WasiFilesTest, DescriptorsAreBoundedAndReused) {
  Grant(true);
  uint32_t fd = 0;
  uint32_t opened = 0;
  while (Open("file", fd) == kOk) ++opened;
  EXPECT_EQ(Open("file", fd), Of(Errno::kMfile));
  EXPECT_GT(opened, 200u);
  EXPECT_EQ(Call("fd_close", {10}), kOk);
  EXPECT_EQ(Open("file", fd), kOk);
  EXPECT_EQ(fd, 10u);
  EXPECT_EQ(Call("fd_renumber", {10, 11}), kOk);
  EXPECT_EQ(Call("fd_close", {10}), Of(Errno::kBadf));
}

TEST(WasiErrno, KnowsTheCommonOnesAndCallsTheRestIo) {
  EXPECT_EQ(FromErrno(ENOENT), Errno::kNoent);
  EXPECT_EQ(FromErrno(EROFS), Errno::kRofs);
  EXPECT_EQ(FromErrno(ENOSPC), Errno::kNospc);
  EXPECT_EQ(FromErrno(ENOTTY), Errno::kIo);
}

}  // namespace
}  // namespace hybridserve::wasi
