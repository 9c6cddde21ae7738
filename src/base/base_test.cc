#include <fcntl.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <optional>
#include <string>

#include "base/close_gate.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/gate.h"
#include "base/line_budget.h"
#include "base/log.h"
#include "base/result.h"

namespace hybridserve {
namespace {

TEST(Digest, OfKnownTextIsThePublishedOne) {
  EXPECT_EQ(Sha256("abc").value,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Digest, OfAFileEqualsThatOfItsBytesAndLeavesThePosition) {
  auto fd = SealedMemfd("test", "abc");
  ASSERT_TRUE(fd);
  EXPECT_EQ(*Sha256OfFile(fd->get()), Sha256("abc"));
  EXPECT_EQ(::lseek(fd->get(), 0, SEEK_CUR), 3);
}

TEST(Digest, MacDependsOnKeyContextAndBytes) {
  auto fd = SealedMemfd("test", "abc");
  auto other = SealedMemfd("test", "abd");
  ASSERT_TRUE(fd && other);
  const MacKey key{1};
  const Mac mac = *HmacOfFile(key, "a", fd->get());
  EXPECT_EQ(mac, *HmacOfFile(key, "a", fd->get()));
  EXPECT_NE(mac, *HmacOfFile(key, "b", fd->get()));
  EXPECT_NE(mac, *HmacOfFile(MacKey{2}, "a", fd->get()));
  EXPECT_NE(mac, *HmacOfFile(key, "a", other->get()));
}

TEST(File, AtomicWriteLeavesNothingBehindWhenTheFolderIsMissing) {
  TemporaryFolder folder;
  auto written = WriteFileAtomically(folder.path() / "absent" / "x", "1");
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, Code::kNotFound);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(File, ReadRefusesMoreThanTheLimit) {
  TemporaryFolder folder;
  ASSERT_TRUE(WriteFileAtomically(folder.path() / "x", "12345"));
  EXPECT_EQ(*ReadFile(folder.path() / "x", 5), "12345");
  EXPECT_EQ(ReadFile(folder.path() / "x", 4).error().code, Code::kTooLarge);
}

TEST(File, SealedMemfdRefusesWrites) {
  auto fd = SealedMemfd("test", "abc");
  ASSERT_TRUE(fd);
  EXPECT_EQ(::write(fd->get(), "x", 1), -1);
}

TEST(Gate, ClosesForNewWorkAndTellsWhenTheLastLeft) {
  Gate gate;
  auto first = gate.Enter();
  ASSERT_TRUE(first);
  bool empty = false;
  gate.Close([&empty] { empty = true; });
  EXPECT_FALSE(empty);
  EXPECT_FALSE(gate.Enter());
  first = Gate::Pass();
  EXPECT_TRUE(empty);
}

TEST(Gate, AWaitThatIsOverDoesNotMindWhoLeavesLater) {
  namespace asio = boost::asio;
  asio::io_context loop;
  Gate gate;
  auto slow = gate.Enter();
  std::optional<bool> empty;
  const auto close = [&](std::chrono::steady_clock::time_point until) {
    empty.reset();
    asio::co_spawn(loop, CloseGate(gate, loop.get_executor(), until),
                   [&empty](const std::exception_ptr&, bool is_empty) { empty = is_empty; });
    loop.restart();
    loop.poll();
  };
  close(std::chrono::steady_clock::time_point::min());
  EXPECT_EQ(empty, false);
  slow = Gate::Pass();
  close(std::chrono::steady_clock::time_point::max());
  EXPECT_EQ(empty, true);
}

TEST(LineBudget, WritesSoManyLinesASecondAndSaysOnceThatOthersAreLeftOut) {
  using Verdict = LineBudget::Verdict;
  LineBudget budget(2);
  const LineBudget::TimePoint start(std::chrono::hours(1));
  for (const auto second : {start, start + std::chrono::seconds(1)}) {
    EXPECT_EQ(budget.Next(second), Verdict::kWrite);
    EXPECT_EQ(budget.Next(second), Verdict::kWrite);
    EXPECT_EQ(budget.Next(second), Verdict::kSayLeftOut);
    for (int i = 0; i < 1000; ++i) {
      EXPECT_EQ(budget.Next(second + std::chrono::milliseconds(999)), Verdict::kLeaveOut);
    }
  }
}

TEST(Log, IsBoundedAndSaysSo) {
  const auto before = spdlog::default_logger();
  InitLog("test", "info");
  testing::internal::CaptureStderr();
  for (int i = 0; i < 100'000; ++i) spdlog::warn("line {}", i);
  const std::string log = testing::internal::GetCapturedStderr();
  spdlog::set_default_logger(before);
  EXPECT_NE(log.find("warning test: line 0\n"), std::string::npos);
  EXPECT_NE(log.find("too many lines; some are left out"), std::string::npos);
  // However slow the machine is, it has not taken a hundred seconds.
  EXPECT_LT(std::count(log.begin(), log.end(), '\n'), 100 * (kLogLinesPerSecond + 1));
}

TEST(Result, EveryCodeHasAnHttpStatusAnExitCodeAndAName) {
  for (int i = 0; i <= static_cast<int>(Code::kInternal); ++i) {
    const Code code = static_cast<Code>(i);
    EXPECT_GE(HttpStatus(code), 400);
    EXPECT_NE(ExitCode(code), 0);
    EXPECT_FALSE(CodeName(code).empty());
  }
}

}  // namespace
}  // namespace hybridserve
