#include "container/clock.h"

#include <gtest/gtest.h>

#include <vector>

#include "container/test_loop.h"

namespace hybridserve {
namespace {

using namespace std::chrono_literals;

TEST(ManualClock, MakesDueCallsInTheOrderOfTheirTimes) {
  ManualClock clock;
  std::vector<int> calls;
  const auto start = clock.Now();
  const auto b = clock.At(start + 2s, [&calls] { calls.push_back(2); });
  const auto a = clock.At(start + 1s, [&calls] { calls.push_back(1); });
  const auto c = clock.At(start + 9s, [&calls] { calls.push_back(9); });
  EXPECT_EQ(clock.Next(), start + 1s);
  clock.Advance(5s);
  EXPECT_EQ(calls, (std::vector{1, 2}));
  EXPECT_EQ(clock.Next(), start + 9s);
}

TEST(ManualClock, DoesNotMakeACallThatWasTakenBack) {
  ManualClock clock;
  bool called = false;
  {
    const auto ticket = clock.At(clock.Now() + 1s, [&called] { called = true; });
  }
  clock.Advance(2s);
  EXPECT_FALSE(called);
  EXPECT_EQ(clock.Next(), Clock::TimePoint::max());
}

TEST(Clock, ATicketMayOutliveTheClock) {
  Clock::Ticket ticket;
  {
    ManualClock clock;
    ticket = clock.At(clock.Now() + 1s, [] {});
  }
  ticket.Cancel();
}

TEST(SystemClock, MakesCallsFromTheLoopEarliestFirst) {
  TestLoop loop;
  SystemClock clock(loop.executor());
  std::vector<int> calls;
  const auto now = clock.Now();
  const auto late = clock.At(now + 20ms, [&calls] { calls.push_back(20); });
  auto taken_back = clock.At(now + 1ms, [&calls] { calls.push_back(1); });
  taken_back.Cancel();
  const auto early = clock.At(now + 5ms, [&calls] { calls.push_back(5); });
  EXPECT_TRUE(calls.empty());
  loop.RunUntil([&calls] { return calls.size() == 2; });
  EXPECT_EQ(calls, (std::vector{5, 20}));
}

TEST(SystemClock, MayBeDestroyedWithCallsPending) {
  TestLoop loop;
  bool called = false;
  Clock::Ticket ticket;
  {
    SystemClock clock(loop.executor());
    ticket = clock.At(clock.Now(), [&called] { called = true; });
  }
  loop.Settle();
  EXPECT_FALSE(called);
}

}  // namespace
}  // namespace hybridserve
