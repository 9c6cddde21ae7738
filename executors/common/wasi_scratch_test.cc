// The guest's private /tmp, through the functions of preview 1.
#include <fcntl.h>

#include <filesystem>

#include "base/file.h"
#include "executors/common/wasi_fixture.h"

namespace hybridserve::wasi {
namespace {

constexpr uint64_t kName = Scratch::kNameBytes;

class WasiScratchTest : public WasiTest {
 protected:
  // The guest has /tmp as descriptor 3.
  void BeginWith(uint64_t limit_bytes) {
    parent_.Reset(::open(shared_.path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    invocation_.scratch = {
        .parent = parent_.get(), .number = ++number_, .limit_bytes = limit_bytes};
    Begin();
  }
  uint32_t Open(std::string_view path, uint32_t& fd, uint16_t oflags = 0, uint16_t fdflags = 0,
                uint32_t lookup = kLookupFollow) {
    Put(500, path);
    const uint32_t error = Call(
        "path_open", {3, lookup, 500, path.size(), oflags, kReadWrite, kRightsAll, fdflags, 8});
    if (error == kOk) fd = Get<uint32_t>(8);
    return error;
  }
  uint32_t Make(std::string_view path) {
    uint32_t fd = 0;
    EXPECT_EQ(Open(path, fd, kOpenCreate), kOk) << path;
    return fd;
  }
  uint32_t Path(std::string_view function, std::string_view path) {
    Put(500, path);
    return Call(function, {3, 500, path.size()});
  }
  uint32_t Rename(std::string_view from, std::string_view to, uint32_t to_folder = 3) {
    Put(500, from);
    Put(700, to);
    return Call("path_rename", {3, 500, from.size(), to_folder, 700, to.size()});
  }
  // Writes `bytes` at the position; how many were taken, or the error below 0.
  int64_t Fill(uint32_t fd, uint32_t bytes) {
    Buffer(2000, bytes);
    const uint32_t error = Call("fd_write", {fd, 0, 1, 8});
    return error == kOk ? int64_t{Get<uint32_t>(8)} : -int64_t{error};
  }
  bool Clean() const { return std::filesystem::is_empty(shared_.path()); }
  // Bytes that still fit into the quota, found by filling a file and removing it.
  uint64_t Room() {
    uint32_t fd = 0;
    if (Open("room", fd, kOpenCreate) != kOk) return 0;
    uint64_t total = kName;
    for (int64_t got = 0; (got = Fill(fd, 60000)) > 0;) total += static_cast<uint64_t>(got);
    EXPECT_EQ(Call("fd_close", {fd}), kOk);
    EXPECT_EQ(Path("path_unlink_file", "room"), kOk);
    return total;
  }

  static constexpr int64_t kFull = -static_cast<int64_t>(Errno::kNospc);
  TemporaryFolder shared_;
  UniqueFd parent_;
  uint64_t number_ = 0;
};

TEST_F(WasiScratchTest, IsPreopenedAsTmpAndNotMadeBeforeItIsUsed) {
  BeginWith(1u << 20);
  ASSERT_EQ(Call("fd_prestat_get", {3, 100}), kOk);
  EXPECT_EQ(Get<uint32_t>(104), 4u);
  ASSERT_EQ(Call("fd_prestat_dir_name", {3, 200, 4}), kOk);
  EXPECT_EQ(Text(200, 4), "/tmp");
  ASSERT_EQ(Call("fd_fdstat_get", {3, 100}), kOk);
  EXPECT_EQ(Call("fd_prestat_get", {4, 100}), Of(Errno::kBadf));
  EXPECT_TRUE(Clean());
  EXPECT_EQ(Call("fd_filestat_get", {3, 100}), kOk);
  EXPECT_EQ(Get<Filestat>(100).filetype, FileType::kDirectory);
  EXPECT_FALSE(Clean());
  wasi_.End();
  EXPECT_TRUE(Clean());
}

TEST_F(WasiScratchTest, ListingMakesItAndItIsEmpty) {
  BeginWith(1u << 20);
  ASSERT_EQ(Call("fd_readdir", {3, 2000, 4000, 0, 8}), kOk);
  EXPECT_EQ(Get<uint32_t>(8), 2 * sizeof(Dirent) + 3) << "\".\" and \"..\"";
}

TEST_F(WasiScratchTest, IsNotThereWithoutALimit) {
  BeginWith(0);
  EXPECT_EQ(Call("fd_prestat_get", {3, 100}), Of(Errno::kBadf));
}

TEST_F(WasiScratchTest, GrantOfTmpTakesItsPlaceAndOthersComeBeforeIt) {
  const TemporaryFolder granted;
  const UniqueFd fd(::open(granted.path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  std::vector<Folder> folders = {{.fd = fd.get(), .guest_path = "/data", .writable = true}};
  invocation_.folders = folders;
  BeginWith(1u << 20);
  ASSERT_EQ(Call("fd_prestat_get", {4, 100}), kOk);
  EXPECT_EQ(Get<uint32_t>(104), 4u);
  folders[0].guest_path = "/tmp";
  Begin();
  EXPECT_EQ(Call("fd_prestat_get", {4, 100}), Of(Errno::kBadf));
  Make("file");
  EXPECT_TRUE(std::filesystem::exists(granted.path() / "file"));
}

TEST_F(WasiScratchTest, NothingMovesBetweenItAndAGrant) {
  const TemporaryFolder granted;
  const UniqueFd fd(::open(granted.path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  const std::vector<Folder> folders = {{.fd = fd.get(), .guest_path = "/data", .writable = true}};
  invocation_.folders = folders;
  BeginWith(1u << 20);
  ASSERT_TRUE(WriteFileAtomically(granted.path() / "file", "0123456789"));
  EXPECT_EQ(Rename("file", "file", /*to_folder=*/4), Of(Errno::kXdev));
  EXPECT_EQ(Call("path_link", {3, 0, 500, 4, 4, 700, 4}), Of(Errno::kXdev));
}

TEST_F(WasiScratchTest, WrittenFileIsReadBack) {
  BeginWith(1u << 20);
  const uint32_t fd = Make("f");
  EXPECT_EQ(Write(fd, "hello"), kOk);
  EXPECT_EQ(Call("fd_seek", {fd, 1, kWhenceSet, 100}), kOk);
  EXPECT_EQ(Read(fd, 10), "ello");
}

TEST_F(WasiScratchTest, QuotaIsExactAtItsEdge) {
  BeginWith(kName + 1000);
  const uint32_t fd = Make("f");
  EXPECT_EQ(Fill(fd, 999), 999);
  EXPECT_EQ(Fill(fd, 2), 1);
  EXPECT_EQ(Fill(fd, 1), kFull);
  EXPECT_EQ(Path("path_create_directory", "d"), Of(Errno::kNospc));
  uint32_t other = 0;
  EXPECT_EQ(Open("g", other, kOpenCreate), Of(Errno::kNospc));
  EXPECT_EQ(Call("fd_filestat_set_size", {fd, 1001}), Of(Errno::kNospc));
  EXPECT_EQ(Call("fd_allocate", {fd, 1000, 1}), Of(Errno::kNospc));
  EXPECT_EQ(Call("fd_filestat_set_size", {fd, 0}), kOk);
  EXPECT_EQ(Call("fd_seek", {fd, 0, kWhenceSet, 100}), kOk);
  EXPECT_EQ(Fill(fd, 1000), 1000);
}

TEST_F(WasiScratchTest, PositionedAndAppendingWritesAreCountedWhereTheyLand) {
  BeginWith(kName + 100);
  uint32_t fd = Make("f");
  Buffer(2000, 50);
  EXPECT_EQ(Call("fd_pwrite", {fd, 0, 1, 60, 8}), kOk);
  EXPECT_EQ(Get<uint32_t>(8), 40u);
  EXPECT_EQ(Call("fd_pwrite", {fd, 0, 1, 100, 8}), Of(Errno::kNospc));
  EXPECT_EQ(Call("fd_filestat_set_size", {fd, 90}), kOk);
  EXPECT_EQ(Open("f", fd, 0, kFdAppend), kOk);
  EXPECT_EQ(Fill(fd, 50), 10);
  EXPECT_EQ(Call("fd_pwrite", {fd, 0, 1, 0, 8}), Of(Errno::kNospc)) << "this appends as well";
}

TEST_F(WasiScratchTest, FailedCallsCountNothing) {
  BeginWith(10 * kName);
  uint32_t fd = 0;
  const uint64_t before = Room();
  EXPECT_EQ(Open("none/f", fd, kOpenCreate), Of(Errno::kNoent));
  EXPECT_EQ(Open("../f", fd, kOpenCreate), Of(Errno::kPerm));
  EXPECT_EQ(Path("path_create_directory", "none/d"), Of(Errno::kNoent));
  EXPECT_EQ(Path("path_unlink_file", "none"), Of(Errno::kNoent));
  EXPECT_EQ(Call("path_link", {3, 0, 500, 4, 3, 600, 4}), Of(Errno::kNoent));
  EXPECT_EQ(Room(), before);
}

TEST_F(WasiScratchTest, EmptyingUnlinkingAndRenamingOverGiveBack) {
  BeginWith(20 * kName);
  const uint64_t before = Room();
  uint32_t fd = Make("f");
  EXPECT_EQ(Fill(fd, 5000), 5000);
  uint32_t again = 0;
  EXPECT_EQ(Open("f", again, kOpenTruncate), kOk);
  EXPECT_EQ(Room(), before - kName);
  EXPECT_EQ(Fill(again, 3000), 3000);
  EXPECT_EQ(Call("fd_close", {again}), kOk);
  fd = Make("g");
  EXPECT_EQ(Rename("g", "f"), kOk);
  EXPECT_EQ(Room(), before - 2 * kName - 3000) << "the file that lost its name is still open";
  EXPECT_EQ(Call("fd_close", {4}), kOk);
  EXPECT_EQ(Room(), before - kName);
  EXPECT_EQ(Path("path_unlink_file", "f"), kOk);
  EXPECT_EQ(Room(), before - kName) << "it is still open";
  EXPECT_EQ(Call("fd_close", {fd}), kOk);
  EXPECT_EQ(Room(), before);
}

TEST_F(WasiScratchTest, DanglingLinkThatIsWrittenThroughMakesOneFile) {
  BeginWith(3 * kName);
  Put(600, "target");
  Put(700, "link");
  ASSERT_EQ(Call("path_symlink", {600, 6, 3, 700, 4}), kOk);
  const uint32_t fd = Make("link");
  EXPECT_EQ(Write(fd, "x"), kOk);
  EXPECT_EQ(Path("path_unlink_file", "target"), kOk);
  EXPECT_EQ(Call("fd_close", {fd}), kOk);
  EXPECT_EQ(Room(), 2 * kName);
}

TEST_F(WasiScratchTest, ManySmallFilesFillItAndListingShowsThemAll) {
  BeginWith(100 * kName);
  uint32_t fd = 0;
  int made = 0;
  while (Open("f" + std::to_string(made), fd, kOpenCreate) == kOk) {
    ASSERT_EQ(Call("fd_close", {fd}), kOk);
    ++made;
  }
  EXPECT_EQ(made, 100);
  EXPECT_EQ(Open("one more", fd, kOpenCreate), Of(Errno::kNospc));
  ASSERT_EQ(Call("fd_readdir", {3, 2000, 60000, 0, 8}), kOk);
  EXPECT_GT(Get<uint32_t>(8), 100 * sizeof(Dirent));
  wasi_.End();
  EXPECT_TRUE(Clean());
}

TEST_F(WasiScratchTest, DeepFoldersEndAtTheBoundAndAreRemoved) {
  BeginWith(1000 * kName);
  std::string path = "d";
  int made = 0;
  uint32_t error = kOk;
  while ((error = Path("path_create_directory", path)) == kOk) {
    path += "/d";
    ++made;
  }
  EXPECT_EQ(error, Of(Errno::kMlink));
  EXPECT_EQ(made, Scratch::kMaxDepth);
  wasi_.End();
  EXPECT_TRUE(Clean());
}

TEST_F(WasiScratchTest, LinksDoNotLeadOut) {
  ASSERT_TRUE(WriteFileAtomically(shared_.path() / "other", "another's"));
  BeginWith(1u << 20);
  Put(600, "../other");
  Put(700, "link");
  ASSERT_EQ(Call("path_symlink", {600, 8, 3, 700, 4}), kOk);
  uint32_t fd = 0;
  EXPECT_EQ(Open("link", fd), Of(Errno::kPerm));
  EXPECT_EQ(Open("link", fd, kOpenCreate), Of(Errno::kPerm));
  EXPECT_EQ(Open("../other", fd), Of(Errno::kPerm));
  wasi_.End();
  EXPECT_EQ(*ReadFile(shared_.path() / "other"), "another's");
}

TEST_F(WasiScratchTest, NextInvocationSeesNothingOfTheLast) {
  for (int i = 0; i < 3; ++i) {
    BeginWith(2 * kName);
    uint32_t fd = 0;
    EXPECT_EQ(Open("f", fd), Of(Errno::kNoent));
    EXPECT_EQ(Fill(Make("f"), 4096), 4096);
    wasi_.End();
    EXPECT_TRUE(Clean());
  }
}

TEST_F(WasiScratchTest, FolderThatCannotBeMadeIsAnErrorOfTheCall) {
  BeginWith(1u << 20);
  std::filesystem::remove_all(shared_.path());
  uint32_t fd = 0;
  EXPECT_EQ(Open("f", fd, kOpenCreate), Of(Errno::kNoent));
  EXPECT_EQ(Call("fd_readdir", {3, 2000, 4000, 0, 8}), Of(Errno::kNoent));
}

}  // namespace
}  // namespace hybridserve::wasi
