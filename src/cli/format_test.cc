// What a person sees: numbers, tables, bars.
#include "cli/format.h"

#include <gtest/gtest.h>

#include "cli/function_view.h"
#include "cli/progress.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "cli/testing/console.h"

namespace hybridserve::cli {
namespace {

using namespace std::chrono_literals;

TEST(FormatTest, BytesHaveTheUnitThatFits) {
  const std::pair<uint64_t, const char*> cases[] = {{0, "0 B"},
                                                    {1023, "1023 B"},
                                                    {1024, "1.0 KiB"},
                                                    {1536, "1.5 KiB"},
                                                    {1024 * 1024 - 1, "1.0 MiB"},
                                                    {5u << 20, "5.0 MiB"},
                                                    {3ull << 30, "3.0 GiB"},
                                                    {UINT64_MAX, "16384.0 PiB"}};
  for (const auto& [bytes, want] : cases) EXPECT_EQ(HumanBytes(bytes), want);
}

TEST(FormatTest, DurationsHaveTheUnitThatFits) {
  const std::pair<std::chrono::microseconds, const char*> cases[] = {
      {0us, "0.000 ms"},    {91us, "0.091 ms"}, {9999us, "9.999 ms"},     {12345us, "12.3 ms"},
      {999950us, "1.00 s"}, {1240ms, "1.24 s"}, {59s, "59.00 s"},         {60s, "1 min"},
      {125s, "2 min 5 s"},  {2h, "2 h"},        {2h + 3min, "2 h 3 min"}, {49h, "2 d 1 h"}};
  for (const auto& [duration, want] : cases) EXPECT_EQ(HumanDuration(duration), want);
}

TEST(FormatTest, AgesAreNeverNegative) {
  const std::chrono::system_clock::time_point now{1'000'000s};
  EXPECT_EQ(HumanAge(now + 5s, now), "just now");
  EXPECT_EQ(HumanAge(now - 5s, now), "5 s ago");
  EXPECT_EQ(HumanAge(now - 3min, now), "3 min ago");
  EXPECT_EQ(HumanAge(now - 26h, now), "1 d ago");
}

TEST(FormatTest, TimesOfTheApiAreRead) {
  const auto time = ParseTime("2026-01-02T03:04:05.678Z");
  ASSERT_TRUE(time);
  EXPECT_EQ(std::chrono::duration_cast<std::chrono::seconds>(time->time_since_epoch()).count(),
            1767323045);
  for (const char* text :
       {"", "now", "2026-13-02T03:04:05Z", "2026-01-02T03:04:05", "2026-01-02"}) {
    EXPECT_FALSE(ParseTime(text)) << text;
  }
}

TEST(TableTest, ColumnsAreAlignedWithoutTrailingSpaces) {
  Table table({{"NAME"}, {"SIZE", Table::Align::kRight}, {"NOTE"}});
  table.Add({"a", "1 B", "x"});
  table.Add({"größer", "100 B"});
  EXPECT_EQ(table.Render(Terminal{}),
            "NAME     SIZE  NOTE\n"
            "a         1 B  x\n"
            "größer  100 B\n");
}

TEST(TableTest, ColourIsOnlyUsedWhereThereIsSome) {
  Table table({{"A"}});
  Terminal terminal;
  EXPECT_EQ(table.Render(terminal).find('\033'), std::string::npos);
  terminal.colour = true;
  EXPECT_EQ(table.Render(terminal), "\033[2mA\033[0m\n");
}

TEST(TableTest, FactsAreGroupedAndAligned) {
  Facts facts;
  facts.Group("one");
  facts.Add("a", "1");
  facts.Add("longer", "2");
  facts.Group("two");
  facts.Add("b", "3");
  EXPECT_EQ(facts.Render(Terminal{}),
            "one\n"
            "  a       1\n"
            "  longer  2\n"
            "\n"
            "two\n"
            "  b       3\n");
}

TEST(TerminalTest, ControlCharactersCannotDriveTheTerminal) {
  EXPECT_EQ(Printable("a\033[2Jb"), "a\\x1b[2Jb");
  EXPECT_EQ(Printable("a\rb\nc\td"), "a\\x0db\\x0ac\td");
  EXPECT_EQ(Printable("gr\xC3\xBC\xC3\x9F"), "gr\xC3\xBC\xC3\x9F");
  EXPECT_EQ(Printable("\xC2\x9B"
                      "31m"),
            "\\xc2\\x9b"
            "31m")
      << "CSI as one character";
}

TEST(ProgressTest, TheBarFillsUp) {
  EXPECT_EQ(ProgressBar(0, 200), "[--------------------]   0 %");
  EXPECT_EQ(ProgressBar(100, 200), "[##########----------]  50 %");
  EXPECT_EQ(ProgressBar(200, 200), "[####################] 100 %");
  EXPECT_EQ(ProgressBar(300, 200), "[####################] 100 %");
  EXPECT_EQ(ProgressBar(0, 0), "[####################] 100 %");
}

TEST(ProgressTest, OffATerminalEachStepIsALine) {
  Console console;
  {
    Progress progress = console.session().MakeProgress();
    progress.Step("uploading");
    progress.Advance(1, 2);
    progress.Step("compiling");
  }
  EXPECT_EQ(console.Err(), "uploading\ncompiling\n");
}

TEST(ProgressTest, OnATerminalTheLineIsTakenAway) {
  Console console;
  console.session().terminal.animate = true;
  {
    Progress progress = console.session().MakeProgress();
    progress.Step("uploading");
  }
  const std::string shown = console.Err();
  EXPECT_TRUE(shown.starts_with("\r\033[Kuploading"));
  EXPECT_TRUE(shown.ends_with("\r\033[K"));
  EXPECT_EQ(shown.find('\n'), std::string::npos);
}

TEST(ProgressTest, BesideJsonThereIsNone) {
  Console console({.output = CommonOptions::Output::kJson});
  console.session().MakeProgress().Step("uploading");
  EXPECT_EQ(console.Err(), "");
}

struct StateCase {
  std::string name;
  Json function;
  std::string want;
};

class StateTest : public testing::TestWithParam<StateCase> {};

TEST_P(StateTest, IsSaidInWords) { EXPECT_EQ(StateOf(GetParam().function), GetParam().want); }

Json Containers(int ready, int starting, int busy, int free) {
  return {{"ready", ready}, {"starting", starting}, {"busy_slots", busy}, {"free_slots", free}};
}

INSTANTIATE_TEST_SUITE_P(
    FunctionView, StateTest,
    testing::Values(
        StateCase{"Nothing", {{"status", {{"containers", Containers(0, 0, 0, 0)}}}}, "idle"},
        StateCase{"NoStatus", Json::object(), "idle"},
        StateCase{"Failed", {{"state", "failed"}}, "failed"},
        StateCase{"Code", {{"status", {{"wasm_loaded", true}}}}, "wasm code loaded"},
        StateCase{"Frozen",
                  {{"status",
                    {{"containers",
                      {{"ready", 2}, {"frozen", 1}, {"busy_slots", 1}, {"free_slots", 7}}}}}},
                  "2 containers (1 frozen), 1 of 8 slots busy"},
        StateCase{"Running",
                  {{"status", {{"wasm_loaded", true}, {"wasm_running", 3}}}},
                  "3 running in wasm"},
        StateCase{"Starting",
                  {{"status", {{"containers", Containers(0, 1, 0, 0)}}}},
                  "1 container starting"},
        StateCase{"Warm",
                  {{"status", {{"containers", Containers(2, 0, 3, 5)}}}},
                  "2 containers, 3 of 8 slots busy"}),
    [](const auto& tested) { return tested.param.name; });

}  // namespace
}  // namespace hybridserve::cli
