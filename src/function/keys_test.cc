#include "function/keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "base/digest.h"
#include "base/file.h"

namespace hybridserve {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string Hash(std::string_view key) { return "sha256:" + Sha256(key).value; }

TEST(KeySet, FindsTheKeyOfABearerHeaderAndNoOther) {
  const Result<KeySet> keys = KeySet::Parse(
      "# comment\n\n alice\t" + Hash("aaaa") + " \r\n" + Hash("bbbb") + "\n", "keys");
  ASSERT_TRUE(keys) << keys.error().message;
  ASSERT_EQ(keys->keys().size(), 2u);
  ASSERT_NE(keys->Find("Bearer aaaa"), nullptr);
  EXPECT_EQ(keys->Find("Bearer aaaa")->name, "alice");
  ASSERT_NE(keys->Find("bearer  bbbb "), nullptr);
  EXPECT_EQ(keys->Find("bearer  bbbb ")->name, "");
  for (const std::string wrong : {"", "Bearer", "Bearer ", "Bearer aaab", "Bearer aaa", "aaaa",
                                  "Bearer aaaaa", "Basic aaaa", "Beareraaaa", "Bearer AAAA"}) {
    EXPECT_EQ(keys->Find(wrong), nullptr) << wrong;
  }
  EXPECT_EQ(keys->Find("Bearer " + Hash("aaaa")), nullptr) << "a hash is no key";
}

TEST(KeySet, WithoutAKeyNobodyMay) {
  const Result<KeySet> keys = KeySet::Parse("# all withdrawn\n", "keys");
  ASSERT_TRUE(keys);
  EXPECT_EQ(keys->Find("Bearer "), nullptr);
}

TEST(KeySet, BadFilesAreNamedByLineAndNeverQuoted) {
  const std::string canary = "canary-5d1f";
  std::string many;
  for (size_t i = 0; i <= KeySet::kMaxKeys; ++i) many += Hash(std::to_string(i)) + "\n";
  const struct {
    std::string text;
    std::string words;
  } cases[] = {
      {canary + "\n", "keys:1: the line holds no hash"},
      {"\nalice " + canary, "keys:2: the line holds no hash"},
      {"x" + Hash(canary), "keys:1: the line holds no hash"},
      {"alice sha256:" + canary, "keys:1: what follows sha256:"},
      {"alice sha256:" + std::string(64, 'A'), "keys:1: what follows sha256:"},
      {"a b " + Hash(canary), "keys:1: the name before sha256:"},
      {std::string(65, 'a') + " " + Hash(canary), "keys:1: the name before sha256:"},
      {"a " + Hash("1") + "\na " + Hash("2"), "keys:2: there are two keys of the name a"},
      {many, "keys:257: there are more than 256 keys"},
  };
  for (const auto& row : cases) {
    const Result<KeySet> keys = KeySet::Parse(row.text, "keys");
    ASSERT_FALSE(keys) << row.words;
    EXPECT_EQ(keys.error().code, Code::kInvalidArgument);
    EXPECT_THAT(keys.error().message, HasSubstr(row.words));
    EXPECT_THAT(keys.error().message, Not(HasSubstr(canary)));
  }
}

TEST(CheckKey, TakesOneGoodHeaderOnly) {
  const KeySet keys = *KeySet::Parse("alice " + Hash("aaaa"), "keys");
  const Header good{"AUTHORIZATION", "Bearer aaaa"};
  const Header other{"Accept", "Bearer aaaa"};
  const auto check = [&keys](std::vector<Header> headers) {
    return CheckKey(keys, headers, "function 'f'");
  };
  EXPECT_EQ(check({other, good}).value()->name, "alice");
  for (const Result<const Key*>& refused :
       {check({}), check({other}), check({good, good}), check({{"Authorization", "Bearer b"}})}) {
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::kUnauthorized);
    EXPECT_THAT(refused.error().message, HasSubstr("Authorization"));
    EXPECT_THAT(refused.error().message, Not(HasSubstr("aaaa")));
  }
}

TEST(MakeKey, MakesADifferentKeyEachTimeAndItsLineIsRead) {
  const std::string key = MakeKey();
  EXPECT_EQ(key.size(), 64u);
  EXPECT_NE(key, MakeKey());
  const KeySet keys = *KeySet::Parse(KeyLine("alice", key) + KeyLine("", "other"), "keys");
  EXPECT_EQ(keys.Find("Bearer " + key)->name, "alice");
  EXPECT_NE(keys.Find("Bearer other"), nullptr);
}

class KeyFileTest : public testing::Test {
 protected:
  void Write(const std::string& text) { ASSERT_TRUE(WriteFileAtomically(path_, text, 0400)); }
  TemporaryFolder folder_;
  std::filesystem::path path_ = folder_.path() / "keys";
};

TEST_F(KeyFileTest, AChangeIsTakenAndABadOneLeavesTheKeys) {
  Write(KeyLine("a", "first"));
  const auto file = KeyFile::Open(path_).value();
  EXPECT_NE(file->keys()->Find("Bearer first"), nullptr);
  Write(KeyLine("a", "second"));
  file->ReloadIfChanged();
  EXPECT_EQ(file->keys()->Find("Bearer first"), nullptr);
  EXPECT_NE(file->keys()->Find("Bearer second"), nullptr);
  Write("nonsense");
  file->ReloadIfChanged();
  std::filesystem::remove(path_);
  file->ReloadIfChanged();
  EXPECT_NE(file->keys()->Find("Bearer second"), nullptr);
  Write("");
  file->ReloadIfChanged();
  EXPECT_EQ(file->keys()->Find("Bearer second"), nullptr);
}

TEST_F(KeyFileTest, WhatIsMissingNoFileOrForAllToWriteIsRefused) {
  EXPECT_THAT(KeyFile::Open(path_).error().message, HasSubstr(path_.string()));
  EXPECT_THAT(KeyFile::Open(folder_.path()).error().message, HasSubstr("not a regular file"));
  Write(KeyLine("a", "b"));
  ASSERT_EQ(::chmod(path_.c_str(), 0666), 0);
  const auto file = KeyFile::Open(path_);
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().code, Code::kForbidden);
  EXPECT_THAT(file.error().message, HasSubstr("chmod 0400"));
}

}  // namespace
}  // namespace hybridserve
