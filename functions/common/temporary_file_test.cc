#include "common/temporary_file.h"

#include <gtest/gtest.h>

#include "common/block_checksum.h"
#include "common/file_size_limit.h"

namespace functions {
namespace {

TEST(TemporaryFileTest, ReadsBackWhatWasWrittenInSequenceAndAtOffsets) {
  TemporaryFile file("temporary_file_test");
  ASSERT_TRUE(file.ok());
  EXPECT_TRUE(file.Write("abc"));
  EXPECT_TRUE(file.Write("def"));
  EXPECT_TRUE(file.WriteAt("X", 1));
  EXPECT_TRUE(file.Sync());
  EXPECT_TRUE(file.Rewind());
  char block[4];
  EXPECT_EQ(file.Read(block), 4u);
  EXPECT_EQ(std::string_view(block, 4), "aXcd");
  EXPECT_EQ(file.Read(block), 2u) << "fewer at the end";
  EXPECT_EQ(file.ReadAt(block, 2), 4u);
  EXPECT_EQ(std::string_view(block, 4), "cdef");
  EXPECT_EQ(file.ReadAt(block, 6), 0u);
}

TEST(TemporaryFileTest, FilesOfOneNameAreApart) {
  TemporaryFile one("temporary_file_test");
  TemporaryFile other("temporary_file_test");
  EXPECT_TRUE(one.Write("1"));
  char block[1];
  EXPECT_EQ(other.Read(block), 0u);
}

TEST(TemporaryFileTest, FailureStaysAndIs507WithTheReason) {
  const FileSizeLimit limit(10);
  TemporaryFile file("temporary_file_test");
  EXPECT_TRUE(file.Write("0123456789"));
  EXPECT_FALSE(file.Write("x"));
  EXPECT_FALSE(file.WriteAt("x", 0));
  EXPECT_EQ(file.InsufficientStorage().status, 507);
  EXPECT_NE(file.InsufficientStorage().body.find("cannot write /tmp/temporary_file_test-"),
            std::string::npos);
  EXPECT_NE(file.InsufficientStorage().body.find("File too large"), std::string::npos);
}

TEST(TemporaryFileTest, NameThatCannotBeMadeIsAFailure) {
  TemporaryFile file("no/such/folder");
  EXPECT_FALSE(file.ok());
  EXPECT_FALSE(file.Write("x"));
  EXPECT_NE(file.InsufficientStorage().body.find("cannot make /tmp/no/such/folder-"),
            std::string::npos);
}

TEST(BlockChecksumTest, DependsOnEachByteAndItsPlace) {
  const auto of = [](std::string_view block) {
    BlockChecksum sum;
    sum.Add(block);
    return sum.Hex();
  };
  std::string block(100, 'a');
  const std::string before = of(block);
  for (size_t i = 0; i < block.size(); ++i) {
    std::string other = block;
    other[i] = 'b';
    EXPECT_NE(of(other), before) << i;
    std::swap(other[i], other[(i + 32) % other.size()]);
    EXPECT_NE(of(other), before) << i;
  }
  EXPECT_NE(of(std::string(99, 'a')), before);
  EXPECT_EQ(of("").size(), 16u);
}

}  // namespace
}  // namespace functions
