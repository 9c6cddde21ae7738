#include "telemetry/function_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hybridserve {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

const FunctionName kHello{"hello"};

class FunctionLogsTest : public testing::Test {
 protected:
  std::vector<std::string> Texts(size_t count = 1000) const {
    std::vector<std::string> texts;
    for (const LogLine& line : logs_.Tail(kHello, count)) texts.push_back(line.text);
    return texts;
  }

  std::chrono::system_clock::time_point time_{seconds(1'000'000)};
  FunctionLogs logs_{[this] { return time_; }};
};

TEST_F(FunctionLogsTest, TailGivesTheLastLinesOldestFirst) {
  for (const char* line : {"one\n", "two\r\n", "three"}) {
    logs_.Append(kHello, LogSource::kWasm, line);
  }
  EXPECT_THAT(Texts(2), ElementsAre("two", "three"));
  EXPECT_EQ(logs_.Tail(kHello, 1)[0].time, time_);
  EXPECT_EQ(logs_.Tail(kHello, 1)[0].source, LogSource::kWasm);
}

TEST_F(FunctionLogsTest, EmbeddedNewlinesMakeSeveralLines) {
  logs_.Append(kHello, LogSource::kContainer, "a\n\nb\n");
  EXPECT_THAT(Texts(), ElementsAre("a", "", "b"));
}

TEST_F(FunctionLogsTest, AFunctionThatWroteNothingHasNoLines) { EXPECT_THAT(Texts(), IsEmpty()); }

TEST_F(FunctionLogsTest, TheRingIsBoundedAndLosesTheOldest) {
  const std::string line(1000, 'x');
  for (int i = 0; i < 200; ++i) logs_.Append(kHello, LogSource::kWasm, line + std::to_string(i));
  const auto texts = Texts();
  ASSERT_FALSE(texts.empty());
  EXPECT_LE(texts.size() * line.size(), FunctionLogs::kRingBytes);
  EXPECT_GT(texts.size(), 50u);
  EXPECT_EQ(texts.back(), line + "199");
}

TEST_F(FunctionLogsTest, AFloodLosesLinesAndSaysHowMany) {
  const std::string line(FunctionLogs::kLineBytes, 'x');
  for (int i = 0; i < 100; ++i) logs_.Append(kHello, LogSource::kWasm, line);
  time_ += seconds(1);
  logs_.Append(kHello, LogSource::kWasm, "after");
  const auto texts = Texts(2);
  ASSERT_EQ(texts.size(), 2u);
  // 256 KiB a second let 31 lines of 8 KiB and their bookkeeping through.
  EXPECT_EQ(texts[0], "69 lines dropped");
  EXPECT_EQ(texts[1], "after");
}

TEST_F(FunctionLogsTest, EmptyLinesAreLimitedToo) {
  size_t seen = 0;
  const auto subscription = logs_.Subscribe(kHello, [&seen](const LogLine&) { ++seen; });
  for (int i = 0; i < 100'000; ++i) logs_.Append(kHello, LogSource::kWasm, "");
  EXPECT_LE(seen * sizeof(LogLine), FunctionLogs::kBytesPerSecond);
}

TEST_F(FunctionLogsTest, SubscribersGetLinesOfTheirFunctionUntilTheyLeave) {
  std::vector<std::string> got;
  {
    const auto subscription =
        logs_.Subscribe(kHello, [&got](const LogLine& line) { got.push_back(line.text); });
    logs_.Append(kHello, LogSource::kWasm, "1");
    logs_.Append(FunctionName{"other"}, LogSource::kWasm, "2");
    logs_.Remove(kHello);
    logs_.Append(kHello, LogSource::kWasm, "3");
  }
  logs_.Append(kHello, LogSource::kWasm, "4");
  EXPECT_THAT(got, ElementsAre("1", "3"));
}

TEST_F(FunctionLogsTest, ASubscriberMayLeaveWithinItsCallback) {
  int calls = 0;
  FunctionLogs::Subscription subscription;
  subscription = logs_.Subscribe(kHello, [&](const LogLine&) {
    ++calls;
    subscription = {};
  });
  logs_.Append(kHello, LogSource::kWasm, "1");
  logs_.Append(kHello, LogSource::kWasm, "2");
  EXPECT_EQ(calls, 1);
}

struct LineCase {
  std::string name;
  std::string text;
  std::string want;
};
class PrintableLineTest : public testing::TestWithParam<LineCase> {};

TEST_P(PrintableLineTest, IsSafeForATerminalAndForJson) {
  EXPECT_EQ(PrintableLine(GetParam().text, 16), GetParam().want);
}

INSTANTIATE_TEST_SUITE_P(
    FunctionLog, PrintableLineTest,
    testing::Values(LineCase{"Plain", "a\tb", "a\tb"}, LineCase{"Umlaut", "\xC3\xA4", "\xC3\xA4"},
                    LineCase{"EscapeSequence", "\x1b[2J", "\\x1b[2J"},
                    LineCase{"C1Control", "\xC2\x9b", "\\x9b"},
                    LineCase{"Nul", std::string("a\0b", 3), "a\\x00b"},
                    LineCase{"BadByte", "a\xff", "a\xEF\xBF\xBD"},
                    LineCase{"CutSequence", "\xE2\x82", "\xEF\xBF\xBD\xEF\xBF\xBD"},
                    LineCase{"Overlong", "\xC0\xAF", "\xEF\xBF\xBD\xEF\xBF\xBD"},
                    LineCase{"TooLongIsCutAtACharacter", "123456789012345\xC3\xA4",
                             "123456789012345"}),
    [](const auto& row) { return row.param.name; });

}  // namespace
}  // namespace hybridserve
