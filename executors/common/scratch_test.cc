// What Scratch counts and what it leaves behind; files are made and opened as Wasi does it.
#include "executors/common/scratch.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <vector>

#include "base/file.h"

namespace hybridserve::wasi {
namespace {

constexpr uint64_t kName = Scratch::kNameBytes;
constexpr auto kAtPosition = Scratch::At::kPosition;

class ScratchTest : public testing::Test {
 protected:
  // A file with one descriptor on it.
  struct File {
    UniqueFd fd;
    Scratch::Use use;
  };

  void Begin(uint64_t limit_bytes) {
    parent_.Reset(::open(shared_.path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    scratch_.Begin({.parent = parent_.get(), .number = 7, .limit_bytes = limit_bytes});
  }
  File Open(const std::string& name) {
    File file;
    file.fd.Reset(::openat(scratch_.Folder(), name.c_str(), O_RDWR | O_CLOEXEC));
    struct stat stat {};
    EXPECT_EQ(::fstat(file.fd.get(), &stat), 0) << name;
    file.use = scratch_.Open(stat);
    return file;
  }
  File Make(const std::string& name) {
    EXPECT_EQ(scratch_.AddName(), 0);
    EXPECT_TRUE(UniqueFd(::openat(scratch_.Folder(), name.c_str(), O_CREAT | O_WRONLY, 0600)));
    return Open(name);
  }
  ssize_t Write(File& file, size_t bytes) {
    const std::vector<uint8_t> data(bytes, 'x');
    return scratch_.Write(file.use, file.fd.get(), data, kAtPosition, 0);
  }
  ssize_t WriteAt(File& file, off_t offset, size_t bytes) {
    const std::vector<uint8_t> data(bytes, 'x');
    return scratch_.Write(file.use, file.fd.get(), data, Scratch::At::kOffset, offset);
  }
  static int Error(ssize_t result) { return result < 0 ? errno : 0; }
  int Root() { return scratch_.Folder(); }

  TemporaryFolder shared_;
  UniqueFd parent_;
  Scratch scratch_;
};

TEST_F(ScratchTest, FolderIsMadeWhenItIsAskedForAndGoneAtTheEnd) {
  Begin(1u << 20);
  EXPECT_TRUE(std::filesystem::is_empty(shared_.path()));
  EXPECT_GE(scratch_.Folder(), 0);
  EXPECT_EQ(scratch_.Folder(), scratch_.Folder());
  EXPECT_TRUE(std::filesystem::exists(shared_.path() / "7"));
  scratch_.End();
  EXPECT_TRUE(std::filesystem::is_empty(shared_.path()));
}

TEST_F(ScratchTest, IsNotOfferedWithoutALimitOrAPlace) {
  Begin(0);
  EXPECT_FALSE(scratch_.offered());
  scratch_.Begin({.parent = -1, .number = 1, .limit_bytes = 1});
  EXPECT_FALSE(scratch_.offered());
}

TEST_F(ScratchTest, LastByteOfTheQuotaFitsAndTheNextDoesNot) {
  Begin(kName + 100);
  File file = Make("f");
  EXPECT_EQ(Write(file, 60), 60);
  EXPECT_EQ(Write(file, 60), 40);
  EXPECT_EQ(Error(Write(file, 1)), ENOSPC);
  EXPECT_EQ(scratch_.used_bytes(), kName + 100);
  EXPECT_EQ(WriteAt(file, 50, 50), 50) << "what is there already can be written again";
  EXPECT_EQ(Error(scratch_.AddName()), ENOSPC);
}

TEST_F(ScratchTest, HolesCountAsBytes) {
  Begin(kName + 1000);
  File file = Make("f");
  EXPECT_EQ(Error(WriteAt(file, 1000, 1)), ENOSPC);
  EXPECT_EQ(WriteAt(file, 999, 1), 1);
  EXPECT_EQ(scratch_.used_bytes(), kName + 1000);
  EXPECT_EQ(Error(WriteAt(file, std::numeric_limits<off_t>::max(), 1)), ENOSPC);
  EXPECT_EQ(Error(WriteAt(file, -1, 1)), EINVAL);
}

TEST_F(ScratchTest, TruncationGivesBackAndTakesUpToTheQuota) {
  Begin(kName + 1000);
  File file = Make("f");
  EXPECT_EQ(Error(scratch_.Ftruncate(file.use, file.fd.get(), 1001)), ENOSPC);
  EXPECT_EQ(scratch_.Ftruncate(file.use, file.fd.get(), 1000), 0);
  EXPECT_EQ(scratch_.used_bytes(), kName + 1000);
  EXPECT_EQ(scratch_.Ftruncate(file.use, file.fd.get(), 10), 0);
  EXPECT_EQ(scratch_.used_bytes(), kName + 10);
  EXPECT_EQ(Error(scratch_.Fallocate(file.use, file.fd.get(), 500, 501)), ENOSPC);
  EXPECT_EQ(scratch_.Fallocate(file.use, file.fd.get(), 500, 500), 0);
  EXPECT_EQ(scratch_.Fallocate(file.use, file.fd.get(), 0, 10), 0);
  EXPECT_EQ(scratch_.used_bytes(), kName + 1000);
  const off_t largest = std::numeric_limits<off_t>::max();
  EXPECT_EQ(Error(scratch_.Fallocate(file.use, file.fd.get(), largest, 1)), EFBIG);
  EXPECT_EQ(Error(scratch_.Fallocate(file.use, file.fd.get(), 0, 0)), EINVAL);
}

TEST_F(ScratchTest, TwoDescriptorsOfAFileShareItsSize) {
  Begin(kName + 100);
  File one = Make("f");
  File other = Open("f");
  EXPECT_EQ(Write(one, 100), 100);
  EXPECT_EQ(Write(other, 100), 100);
  EXPECT_EQ(scratch_.used_bytes(), kName + 100);
}

TEST_F(ScratchTest, UnlinkedFileGivesBackAtItsLastClose) {
  Begin(1u << 20);
  File file = Make("f");
  EXPECT_EQ(Write(file, 500), 500);
  File again = Open("f");
  EXPECT_EQ(scratch_.Unlinkat(Root(), "f", 0), 0);
  EXPECT_EQ(Write(file, 100), 100) << "it can still be written";
  EXPECT_EQ(scratch_.used_bytes(), kName + 600);
  file = File();
  EXPECT_EQ(scratch_.used_bytes(), kName + 600);
  again = File();
  EXPECT_EQ(scratch_.used_bytes(), 0u);
}

TEST_F(ScratchTest, UnlinkedFileThatIsClosedGivesBackAtOnce) {
  Begin(1u << 20);
  File file = Make("f");
  EXPECT_EQ(Write(file, 500), 500);
  file = File();
  EXPECT_EQ(scratch_.used_bytes(), kName + 500);
  EXPECT_EQ(scratch_.Unlinkat(Root(), "f", 0), 0);
  EXPECT_EQ(scratch_.used_bytes(), 0u);
  EXPECT_EQ(Error(scratch_.Unlinkat(Root(), "f", 0)), ENOENT);
  EXPECT_EQ(scratch_.used_bytes(), 0u);
}

TEST_F(ScratchTest, LinksCountANameEachAndTheContentOnce) {
  Begin(3 * kName);
  File file = Make("f");
  EXPECT_EQ(Write(file, 100), 100);
  file = File();
  EXPECT_EQ(scratch_.Linkat(Root(), "f", Root(), "g"), 0);
  EXPECT_EQ(scratch_.used_bytes(), 2 * kName + 100);
  EXPECT_EQ(Error(scratch_.Linkat(Root(), "f", Root(), "h")), ENOSPC);
  EXPECT_EQ(Error(scratch_.Symlinkat("f", Root(), "h")), ENOSPC);
  EXPECT_EQ(scratch_.Unlinkat(Root(), "f", 0), 0);
  EXPECT_EQ(scratch_.used_bytes(), kName + 100);
  EXPECT_EQ(scratch_.Symlinkat("g", Root(), "s"), 0);
  EXPECT_EQ(scratch_.used_bytes(), 2 * kName + 100);
  EXPECT_EQ(scratch_.Unlinkat(Root(), "s", 0), 0);
  EXPECT_EQ(scratch_.Unlinkat(Root(), "g", 0), 0);
  EXPECT_EQ(scratch_.used_bytes(), 0u);
}

TEST_F(ScratchTest, RenameOverAFileGivesItBack) {
  Begin(1u << 20);
  EXPECT_EQ(Write(*std::make_unique<File>(Make("old")), 300), 300);
  EXPECT_EQ(Write(*std::make_unique<File>(Make("new")), 5), 5);
  EXPECT_EQ(scratch_.used_bytes(), 2 * kName + 305);
  EXPECT_EQ(scratch_.Renameat(Root(), "new", Root(), "old"), 0);
  EXPECT_EQ(scratch_.used_bytes(), kName + 5);
  EXPECT_EQ(scratch_.Linkat(Root(), "old", Root(), "same"), 0);
  EXPECT_EQ(scratch_.Renameat(Root(), "old", Root(), "same"), 0);
  EXPECT_EQ(scratch_.used_bytes(), 2 * kName + 5) << "two names of one file both stay";
  EXPECT_EQ(Error(scratch_.Renameat(Root(), "none", Root(), "old")), ENOENT);
}

TEST_F(ScratchTest, FoldersCountANameAndGiveItBack) {
  Begin(2 * kName);
  EXPECT_EQ(scratch_.Mkdirat(Root(), "a", 0700), 0);
  EXPECT_EQ(Error(scratch_.Mkdirat(Root(), "a", 0700)), EEXIST);
  EXPECT_EQ(scratch_.Mkdirat(Root(), "b", 0700), 0);
  EXPECT_EQ(Error(scratch_.Mkdirat(Root(), "c", 0700)), ENOSPC);
  EXPECT_EQ(scratch_.Renameat(Root(), "a", Root(), "b"), 0);
  EXPECT_EQ(scratch_.used_bytes(), kName);
  EXPECT_EQ(scratch_.Unlinkat(Root(), "b", AT_REMOVEDIR), 0);
  EXPECT_EQ(scratch_.used_bytes(), 0u);
}

TEST_F(ScratchTest, NamesAreBoundedWhateverTheQuota) {
  Begin(uint64_t{1} << 40);
  for (uint64_t i = 0; i < Scratch::kMaxNames; ++i) ASSERT_EQ(scratch_.AddName(), 0) << i;
  EXPECT_EQ(Error(scratch_.AddName()), ENOSPC);
  scratch_.TakeBackName();
  EXPECT_EQ(scratch_.AddName(), 0);
}

// Makes folders in each other from `at` on until one is refused; returns how many.
int Nest(Scratch& scratch, int at, int& error) {
  UniqueFd deepest(::openat(at, ".", O_PATH | O_DIRECTORY | O_CLOEXEC));
  for (int made = 0;; ++made) {
    if (scratch.Mkdirat(deepest.get(), "d", 0700) != 0) {
      error = errno;
      return made;
    }
    deepest = UniqueFd(::openat(deepest.get(), "d", O_PATH | O_DIRECTORY | O_CLOEXEC));
  }
}

TEST_F(ScratchTest, DepthIsBoundedAndARenameDoesNotGetRoundIt) {
  Begin(64u << 20);
  int error = 0;
  EXPECT_EQ(Nest(scratch_, Root(), error), Scratch::kMaxDepth);
  EXPECT_EQ(error, EMLINK);
  EXPECT_EQ(scratch_.Mkdirat(Root(), "e", 0700), 0);
  EXPECT_EQ(scratch_.Mkdirat(Root(), "f", 0700), 0);
  const UniqueFd target(::openat(Root(), "d", O_PATH | O_DIRECTORY));
  EXPECT_EQ(scratch_.Renameat(Root(), "f", target.get(), "f"), 0) << "a folder without folders";
  EXPECT_EQ(scratch_.Renameat(target.get(), "d", Root(), "up"), 0) << "upwards it may go";
  EXPECT_EQ(Error(scratch_.Renameat(Root(), "up", target.get(), "d")), EXDEV);
  EXPECT_EQ(scratch_.Renameat(Root(), "up", Root(), "aside"), 0);
  const uint64_t used = scratch_.used_bytes();
  EXPECT_EQ(used, (Scratch::kMaxDepth + 2) * kName);
}

TEST_F(ScratchTest, DeepAndWideTreesAreRemovedAndNothingIsFollowed) {
  ASSERT_TRUE(WriteFileAtomically(shared_.path() / "outside", "kept"));
  Begin(64u << 20);
  int error = 0;
  for (const char* top : {"a", "b", "7", "7.1"}) {
    ASSERT_EQ(scratch_.Mkdirat(Root(), top, 0700), 0);
    const UniqueFd folder(::openat(Root(), top, O_PATH | O_DIRECTORY));
    Nest(scratch_, folder.get(), error);
    ASSERT_EQ(scratch_.Symlinkat("../../outside", folder.get(), "link"), 0);
    ASSERT_EQ(scratch_.Symlinkat("../..", folder.get(), "folder link"), 0);
  }
  for (int i = 0; i < 3000; ++i) Make("file" + std::to_string(i));
  scratch_.End();
  EXPECT_EQ(*ReadFile(shared_.path() / "outside"), "kept");
  std::filesystem::remove(shared_.path() / "outside");
  EXPECT_TRUE(std::filesystem::is_empty(shared_.path()));
}

TEST_F(ScratchTest, NextInvocationStartsWithNothing) {
  Begin(kName);
  Make("f");
  scratch_.Begin({.parent = parent_.get(), .number = 8, .limit_bytes = kName});
  EXPECT_EQ(scratch_.used_bytes(), 0u);
  EXPECT_TRUE(std::filesystem::is_empty(shared_.path()));
  Make("f");
  EXPECT_EQ(scratch_.used_bytes(), kName);
}

}  // namespace
}  // namespace hybridserve::wasi
