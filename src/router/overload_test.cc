#include "router/overload.h"

#include <gtest/gtest.h>

namespace hybridserve {
namespace {

using std::chrono::seconds;

struct WaitCase {
  std::string name;
  uint32_t waiting;
  uint32_t busy;
  Microseconds service;
  Microseconds want;
};

class ExpectedWaitTest : public testing::TestWithParam<WaitCase> {};

TEST_P(ExpectedWaitTest, IsWhatThoseBeforeItTake) {
  const WaitCase& row = GetParam();
  EXPECT_EQ(ExpectedWait(row.waiting, row.busy, row.service), row.want);
}

INSTANTIATE_TEST_SUITE_P(Overload, ExpectedWaitTest,
                         testing::Values(WaitCase{"NobodyWaits", 0, 4, seconds(9), seconds(0)},
                                         WaitCase{"OneSlot", 3, 1, seconds(2), seconds(6)},
                                         WaitCase{"SeveralSlots", 12, 4, seconds(2), seconds(6)},
                                         WaitCase{"NothingKnown", 100, 4, seconds(0), seconds(0)},
                                         WaitCase{"NothingWorks", 100, 0, seconds(2), seconds(0)},
                                         WaitCase{"LongestQueueAndService", 100000, 1, seconds(600),
                                                  seconds(60'000'000)}),
                         [](const auto& row) { return row.param.name; });

TEST(ServiceTimeTest, BeginsWithTheFirstAndFollowsTheRest) {
  ServiceTime time;
  EXPECT_EQ(time.average(), Microseconds(0));
  time.Add(Microseconds(800));
  EXPECT_EQ(time.average(), Microseconds(800));
  time.Add(Microseconds(1600));
  EXPECT_EQ(time.average(), Microseconds(900));
  for (int i = 0; i < 100; ++i) time.Add(Microseconds(0));
  EXPECT_LT(time.average(), Microseconds(10));
}

}  // namespace
}  // namespace hybridserve
