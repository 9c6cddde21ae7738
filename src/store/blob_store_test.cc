#include "store/blob_store.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "base/digest.h"
#include "base/file.h"

namespace hybridserve {
namespace {

using testing::HasSubstr;
using testing::UnorderedElementsAre;
using namespace std::chrono_literals;

class BlobStoreTest : public testing::Test {
 protected:
  BlobStore Open() {
    Result<BlobStore> store = BlobStore::Open(Folder());
    EXPECT_TRUE(store) << store.error().message;
    return std::move(*store);
  }
  std::filesystem::path Folder() const { return folder_.path() / "blobs"; }
  std::filesystem::path PathOf(const Digest& digest) const {
    return Folder() / "sha256" / digest.value.substr(0, 2) / digest.value;
  }
  void MakeOld(const Digest& digest) const {
    const timespec times[2] = {{1, 0}, {1, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, PathOf(digest).c_str(), times, 0), 0);
  }
  bool TmpIsEmpty() const { return std::filesystem::is_empty(Folder() / "tmp"); }

  TemporaryFolder folder_;
};

TEST_F(BlobStoreTest, ABlobIsFiledUnderItsDigestReadOnly) {
  const BlobStore store = Open();
  Result<BlobStore::Upload> upload = store.Begin();
  ASSERT_TRUE(upload);
  ASSERT_TRUE(upload->Write("hello "));
  ASSERT_TRUE(upload->Write("world"));
  EXPECT_EQ(upload->bytes(), 11u);
  const Result<Digest> digest = upload->Commit();
  ASSERT_TRUE(digest) << digest.error().message;
  EXPECT_EQ(*digest, Sha256("hello world"));
  EXPECT_EQ(store.Touch(*digest).value(), 11u);
  struct stat status {};
  ASSERT_EQ(::stat(PathOf(*digest).c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0400u);
  EXPECT_EQ(ReadFile(PathOf(*digest)).value(), "hello world");
  EXPECT_TRUE(TmpIsEmpty());
}

TEST_F(BlobStoreTest, TheSameContentTwiceIsOneBlob) {
  const BlobStore store = Open();
  ASSERT_TRUE(store.Put("same"));
  ASSERT_TRUE(store.Put("same"));
  EXPECT_EQ(store.List().value().size(), 1u);
  EXPECT_TRUE(TmpIsEmpty());
}

TEST_F(BlobStoreTest, AnUploadThatIsGivenUpLeavesNothing) {
  const BlobStore store = Open();
  {
    Result<BlobStore::Upload> upload = store.Begin();
    ASSERT_TRUE(upload);
    ASSERT_TRUE(upload->Write("half"));
    EXPECT_FALSE(TmpIsEmpty());
  }
  EXPECT_TRUE(TmpIsEmpty());
  EXPECT_TRUE(store.List().value().empty());
}

TEST_F(BlobStoreTest, OpeningTheStoreClearsUploadsThatACrashCutOff) {
  Open();
  std::ofstream(Folder() / "tmp" / "upload.abcdef") << "half";
  Open();
  EXPECT_TRUE(TmpIsEmpty());
}

TEST_F(BlobStoreTest, BlobsSurviveOpeningTheStoreAgain) {
  const Digest digest = Open().Put("kept").value();
  const BlobStore store = Open();
  const Result<UniqueFd> fd = store.OpenBlob(digest);
  ASSERT_TRUE(fd);
  EXPECT_EQ(Sha256OfFile(fd->get()).value(), digest);
  EXPECT_THAT(store.List().value(), UnorderedElementsAre(digest));
}

TEST_F(BlobStoreTest, AMissingBlobAndABadDigestAreNamed) {
  const BlobStore store = Open();
  const Digest missing = Sha256("missing");
  EXPECT_EQ(store.OpenBlob(missing).error().code, Code::kNotFound);
  EXPECT_THAT(store.Touch(missing).error().message, HasSubstr(missing.value));
  for (const std::string bad : {"", "abc", "../../../../../../etc/passwd"}) {
    EXPECT_EQ(store.OpenBlob(Digest{bad}).error().code, Code::kInvalidArgument) << bad;
    EXPECT_EQ(store.Touch(Digest{bad}).error().code, Code::kInvalidArgument) << bad;
  }
}

TEST_F(BlobStoreTest, VerifyFindsChangedContent) {
  const BlobStore store = Open();
  const Digest digest = store.Put("content").value();
  EXPECT_TRUE(store.Verify(digest));
  ASSERT_EQ(::chmod(PathOf(digest).c_str(), 0600), 0);
  std::ofstream(PathOf(digest)) << "changed";
  const Result<> verified = store.Verify(digest);
  ASSERT_FALSE(verified);
  EXPECT_EQ(verified.error().code, Code::kCorrupt);
  EXPECT_THAT(verified.error().message, HasSubstr(PathOf(digest).string()));
}

TEST_F(BlobStoreTest, OnlyOldBlobsThatNothingRefersToAreCollected) {
  const BlobStore store = Open();
  const Digest used = store.Put("used").value();
  const Digest old = store.Put("old").value();
  const Digest touched = store.Put("touched").value();
  const Digest fresh = store.Put("fresh").value();
  for (const Digest& digest : {used, old, touched}) MakeOld(digest);
  ASSERT_TRUE(store.Touch(touched));
  const Result<BlobStore::Collected> collected = store.CollectGarbage({used}, 1h);
  ASSERT_TRUE(collected) << collected.error().message;
  EXPECT_EQ(collected->blobs, 1u);
  EXPECT_EQ(collected->bytes, 3u);
  EXPECT_THAT(store.List().value(), UnorderedElementsAre(used, touched, fresh));
}

TEST_F(BlobStoreTest, UploadingAnOldBlobAgainRenewsItsGrace) {
  const BlobStore store = Open();
  const Digest digest = store.Put("again").value();
  MakeOld(digest);
  ASSERT_TRUE(store.Put("again"));
  EXPECT_EQ(store.CollectGarbage({}, 1h).value().blobs, 0u);
}

TEST_F(BlobStoreTest, AFolderThatIsAFileIsRefused) {
  std::ofstream(Folder()) << "a file";
  const Result<BlobStore> store = BlobStore::Open(Folder());
  ASSERT_FALSE(store);
  EXPECT_THAT(store.error().message, HasSubstr(Folder().string()));
}

}  // namespace
}  // namespace hybridserve
