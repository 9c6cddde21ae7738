#include "wasm/aot_cache.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/file.h"

namespace hybridserve {
namespace {

class AotCacheTest : public testing::Test {
 protected:
  AotCache Open(size_t max_open = 100) {
    auto cache = AotCache::Open(folder_.path() / "aot", folder_.path() / "aot.key", max_open);
    EXPECT_TRUE(cache) << cache.error().message;
    return std::move(*cache);
  }
  static void Put(AotCache& cache, const std::string& key, std::string_view code,
                  uint64_t minimum = 7) {
    auto draft = cache.Begin(key);
    ASSERT_TRUE(draft) << draft.error().message;
    ASSERT_TRUE(WriteAll(draft->fd.get(), code));
    ASSERT_TRUE(cache.Commit(key, std::move(*draft), minimum));
  }
  static std::string ContentOf(const Result<AotCache::NativeCode>& code) {
    if (!code) return "error: " + code.error().message;
    std::string content(100, '\0');
    const ssize_t got = ::pread(code->fd, content.data(), content.size(), 0);
    return content.substr(0, static_cast<size_t>(got));
  }
  [[nodiscard]] size_t Files() const {
    return static_cast<size_t>(
        std::distance(std::filesystem::directory_iterator(folder_.path() / "aot"),
                      std::filesystem::directory_iterator()));
  }

  TemporaryFolder folder_;
};

TEST_F(AotCacheTest, WhatWasCommittedIsFoundNowAndAfterARestart) {
  AotCache cache = Open();
  EXPECT_EQ(cache.Find("k").error().code, Code::kNotFound);
  Put(cache, "k", "code");
  EXPECT_EQ(ContentOf(cache.Find("k")), "code");
  AotCache again = Open();
  const auto found = again.Find("k");
  EXPECT_EQ(ContentOf(found), "code");
  EXPECT_EQ(found->memory_minimum_bytes, 7u);
}

TEST_F(AotCacheTest, OldEntriesThatNobodyNeedsAreDeleted) {
  AotCache cache = Open();
  for (const char* key : {"needed", "old", "new"}) Put(cache, key, "code");
  auto draft = cache.Begin("compiling");
  ASSERT_TRUE(draft);
  const auto folder = folder_.path() / "aot";
  for (const auto& file : std::filesystem::directory_iterator(folder)) {
    if (file.path().stem() == "new") continue;
    std::filesystem::last_write_time(file, file.last_write_time() - std::chrono::hours(2));
  }
  EXPECT_EQ(cache.CollectGarbage({"needed"}, std::chrono::hours(1)), 1u);
  EXPECT_EQ(ContentOf(cache.Find("needed")), "code");
  EXPECT_EQ(ContentOf(cache.Find("new")), "code");
  EXPECT_EQ(cache.Find("old").error().code, Code::kNotFound);
  EXPECT_EQ(Files(), 5u);
}

TEST_F(AotCacheTest, EntryOfAnotherKeyDoesNotPass) {
  AotCache cache = Open();
  Put(cache, "a", "code of a");
  const auto folder = folder_.path() / "aot";
  std::filesystem::copy(folder / "a.native", folder / "b.native");
  std::filesystem::copy(folder / "a.mac", folder / "b.mac");
  EXPECT_EQ(cache.Find("b").error().code, Code::kCorrupt);
  EXPECT_FALSE(std::filesystem::exists(folder / "b.native"));
}

TEST_F(AotCacheTest, ForgedMemoryMinimumDoesNotPass) {
  {
    AotCache cache = Open();
    Put(cache, "k", "code", 70000);
  }
  const auto mac = folder_.path() / "aot/k.mac";
  std::string text = *ReadFile(mac);
  text.replace(text.find("70000"), 5, "10000");
  ASSERT_TRUE(WriteFileAtomically(mac, text));
  EXPECT_EQ(Open().Find("k").error().code, Code::kCorrupt);
}

TEST_F(AotCacheTest, HeldCodeIsNotChangedByReplacingTheFile) {
  AotCache cache = Open();
  Put(cache, "k", "code");
  ASSERT_TRUE(WriteFileAtomically(folder_.path() / "aot/k.native", "evil"));
  EXPECT_EQ(ContentOf(cache.Find("k")), "code");
}

TEST_F(AotCacheTest, LinkInPlaceOfCodeIsNotFollowed) {
  AotCache cache = Open();
  std::filesystem::create_symlink("/etc/hostname", folder_.path() / "aot/k.native");
  EXPECT_FALSE(cache.Find("k"));
}

TEST_F(AotCacheTest, HoldsNoMoreOpenThanItMayAndFindsTheOthersAgain) {
  AotCache cache = Open(/*max_open=*/2);
  for (const char* key : {"a", "b", "c"}) Put(cache, key, key);
  // "a" was closed: it is checked again, so a change is noticed; "c" is still held.
  ASSERT_TRUE(WriteFileAtomically(folder_.path() / "aot/a.native", "evil"));
  ASSERT_TRUE(WriteFileAtomically(folder_.path() / "aot/c.native", "evil"));
  EXPECT_EQ(cache.Find("a").error().code, Code::kCorrupt);
  EXPECT_EQ(ContentOf(cache.Find("b")), "b");
  EXPECT_EQ(ContentOf(cache.Find("c")), "c");
}

TEST_F(AotCacheTest, DraftsOfADeadProcessAreRemoved) {
  {
    AotCache cache = Open();
    const auto draft = cache.Begin("k");
    ASSERT_TRUE(draft);
    EXPECT_EQ(Files(), 1u);
  }
  Open();
  EXPECT_EQ(Files(), 0u);
}

TEST_F(AotCacheTest, HalfWrittenMacsOfADeadProcessAreRemoved) {
  AotCache cache = Open();
  Put(cache, "k", "code");
  ASSERT_TRUE(WriteFileAtomically(folder_.path() / "aot" / "k.mac.Ab12Cd", "half"));
  AotCache next = Open();
  EXPECT_EQ(Files(), 2u);
  EXPECT_EQ(ContentOf(next.Find("k")), "code");
}

TEST_F(AotCacheTest, DiscardedDraftLeavesNothing) {
  AotCache cache = Open();
  const auto draft = cache.Begin("k");
  ASSERT_TRUE(draft);
  cache.Discard(*draft);
  EXPECT_EQ(Files(), 0u);
}

TEST_F(AotCacheTest, RemovedEntryIsGone) {
  AotCache cache = Open();
  Put(cache, "k", "code");
  cache.Remove("k");
  EXPECT_EQ(cache.Find("k").error().code, Code::kNotFound);
  EXPECT_EQ(Files(), 0u);
}

TEST_F(AotCacheTest, FilesAreTheOwnersAlone) {
  AotCache cache = Open();
  Put(cache, "k", "code");
  for (const char* name : {"aot.key", "aot/k.native", "aot/k.mac"}) {
    struct stat stat {};
    ASSERT_EQ(::stat((folder_.path() / name).c_str(), &stat), 0);
    EXPECT_EQ(stat.st_mode & 0777, 0600u) << name;
  }
}

TEST_F(AotCacheTest, KeyFileOfAWrongSizeIsAnErrorThatSaysWhatToDo) {
  ASSERT_TRUE(WriteFileAtomically(folder_.path() / "aot.key", "short"));
  const auto cache = AotCache::Open(folder_.path() / "aot", folder_.path() / "aot.key");
  ASSERT_FALSE(cache);
  EXPECT_EQ(cache.error().code, Code::kCorrupt);
  EXPECT_NE(cache.error().message.find("delete it"), std::string::npos);
}

TEST_F(AotCacheTest, KeyDependsOnModuleAndFingerprint) {
  const std::string key = AotCache::KeyOf(Digest{"m"}, "f");
  EXPECT_EQ(key, AotCache::KeyOf(Digest{"m"}, "f"));
  EXPECT_NE(key, AotCache::KeyOf(Digest{"n"}, "f"));
  EXPECT_NE(key, AotCache::KeyOf(Digest{"m"}, "g"));
}

}  // namespace
}  // namespace hybridserve
