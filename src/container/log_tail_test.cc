#include "container/log_tail.h"

#include <gtest/gtest.h>

#include <vector>

namespace hybridserve {
namespace {

class LogTailTest : public testing::Test {
 protected:
  void Add(std::string_view bytes) { tail_.Add(bytes, to_); }
  LogTail tail_;
  std::vector<std::string> lines_;
  std::function<void(std::string_view)> to_ = [this](std::string_view line) {
    lines_.emplace_back(line);
  };
};

TEST_F(LogTailTest, PutsLinesTogetherFromPieces) {
  Add("on");
  Add("e\ntwo\r\n\nth");
  EXPECT_EQ(lines_, (std::vector<std::string>{"one", "two", ""}));
  Add("ree");
  tail_.End(to_);
  EXPECT_EQ(lines_.back(), "three");
}

TEST_F(LogTailTest, CutsLinesThatAreTooLong) {
  Add(std::string(2 * LogTail::kMaxLineBytes + 1, 'a'));
  ASSERT_EQ(lines_.size(), 2);
  EXPECT_EQ(lines_[0].size(), LogTail::kMaxLineBytes);
  Add("b\n");
  ASSERT_EQ(lines_.size(), 3);
  EXPECT_EQ(lines_[2], "ab");
}

TEST_F(LogTailTest, DescribesTheLastLinesOnly) {
  EXPECT_EQ(tail_.Describe(), "; it wrote nothing");
  for (int i = 0; i < 20; ++i) Add("line " + std::to_string(i) + "\n");
  Add("half\x1b[31m");
  const std::string described = tail_.Describe();
  EXPECT_EQ(described.find("\"line 9\""), std::string::npos);
  EXPECT_NE(described.find("\"line 10\" | \"line 11\""), std::string::npos);
  EXPECT_NE(described.find("| \"half?[31m\""), std::string::npos);
}

}  // namespace
}  // namespace hybridserve
