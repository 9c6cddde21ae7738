#include "executors/common/output_sink.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ipc/seqpacket.h"

namespace hybridserve {
namespace {

std::string ContentOf(int fd) {
  struct stat stat {};
  EXPECT_EQ(::fstat(fd, &stat), 0);
  std::string content(static_cast<size_t>(stat.st_size), '\0');
  EXPECT_EQ(::pread(fd, content.data(), content.size(), 0), stat.st_size);
  return content;
}

TEST(OutputSink, KeepsSmallOutputInMemory) {
  OutputSink sink;
  sink.Reset(1u << 20);
  EXPECT_TRUE(sink.Write("ab"));
  EXPECT_TRUE(sink.Write(std::string(ipc::kMaxInlineBytes - 2, 'c')));
  EXPECT_FALSE(sink.in_file());
  EXPECT_EQ(sink.view().size(), ipc::kMaxInlineBytes);
}

class LargeOutputTest : public testing::TestWithParam<size_t> {};

TEST_P(LargeOutputTest, ComesWholeInASealedFile) {
  OutputSink sink;
  sink.Reset(4u << 20);
  std::string written;
  for (char c = 'a'; written.size() < (2u << 20); c = c == 'z' ? 'a' : static_cast<char>(c + 1)) {
    const std::string piece(GetParam(), c);
    ASSERT_TRUE(sink.Write(piece));
    written += piece;
  }
  ASSERT_TRUE(sink.in_file());
  EXPECT_EQ(sink.size(), written.size());
  const auto file = sink.TakeFile();
  ASSERT_TRUE(file);
  EXPECT_TRUE(ContentOf(file->get()) == written);
  EXPECT_EQ(::write(file->get(), "x", 1), -1);
}

INSTANTIATE_TEST_SUITE_P(OutputSink, LargeOutputTest, testing::Values(1000, 65536, 65537, 300000));

TEST(OutputSink, RefusesWhatPassesTheLimitAndKeepsTheRest) {
  OutputSink sink;
  sink.Reset(5);
  EXPECT_TRUE(sink.Write("1234"));
  EXPECT_FALSE(sink.Write("56"));
  EXPECT_TRUE(sink.Write("5"));
  EXPECT_EQ(sink.view(), "12345");
  sink.Reset(100000);
  EXPECT_TRUE(sink.Write(std::string(90000, 'x')));
  EXPECT_FALSE(sink.Write(std::string(20000, 'x')));
  EXPECT_EQ(sink.size(), 90000u);
}

TEST(OutputSink, ResetForgetsAFile) {
  OutputSink sink;
  sink.Reset(1u << 20);
  ASSERT_TRUE(sink.Write(std::string(100000, 'x')));
  sink.Reset(10);
  EXPECT_FALSE(sink.in_file());
  EXPECT_EQ(sink.size(), 0u);
}

}  // namespace
}  // namespace hybridserve
