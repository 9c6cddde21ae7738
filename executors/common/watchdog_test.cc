#include "executors/common/watchdog.h"

#include <gtest/gtest.h>

#include <atomic>

namespace hybridserve {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

// Counts interrupts and lets a test wait for one.
class Interrupts {
 public:
  void operator()() {
    {
      const std::lock_guard lock(mutex_);
      ++count_;
    }
    changed_.notify_all();
  }
  bool WaitFor(int count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, seconds(20), [this, count] { return count_ >= count; });
  }
  int count() {
    const std::lock_guard lock(mutex_);
    return count_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int count_ = 0;
};

class WatchdogTest : public testing::Test {
 protected:
  Interrupts interrupts_;
  Watchdog watchdog_{2, [this] { interrupts_(); }};
  Guard& guard_ = watchdog_.guard(0);
};

TEST_F(WatchdogTest, DeadlineInterruptsAndIsSeen) {
  guard_.Begin(1, SteadyClock::now() + milliseconds(20));
  EXPECT_EQ(guard_.Check(), Stop::kNo);
  ASSERT_TRUE(interrupts_.WaitFor(1));
  EXPECT_EQ(guard_.Check(), Stop::kDeadline);
  guard_.End();
}

TEST_F(WatchdogTest, OverdueGuestIsInterruptedAgain) {
  guard_.Begin(1, SteadyClock::now());
  EXPECT_TRUE(interrupts_.WaitFor(3));
  guard_.End();
}

TEST_F(WatchdogTest, EarlierDeadlineThanAllKnownOnesIsKept) {
  guard_.Begin(1, SteadyClock::now() + hours(1));
  watchdog_.guard(1).Begin(2, SteadyClock::now() + milliseconds(20));
  ASSERT_TRUE(interrupts_.WaitFor(1));
  EXPECT_EQ(guard_.Check(), Stop::kNo);
  EXPECT_EQ(watchdog_.guard(1).Check(), Stop::kDeadline);
  guard_.End();
  watchdog_.guard(1).End();
}

TEST_F(WatchdogTest, DeadlineAfterAnEarlierOneHasPassedIsKept) {
  for (uint64_t id = 1; id <= 5; ++id) {
    const int before = interrupts_.count();
    guard_.Begin(id, SteadyClock::now() + milliseconds(10));
    ASSERT_TRUE(interrupts_.WaitFor(before + 1)) << id;
    guard_.End();
  }
}

TEST_F(WatchdogTest, GuestThatEndedInTimeIsNotInterrupted) {
  guard_.Begin(1, SteadyClock::now() + milliseconds(10));
  guard_.End();
  // The second guard's deadline comes after: by then the first would have been interrupted.
  watchdog_.guard(1).Begin(2, SteadyClock::now() + milliseconds(60));
  ASSERT_TRUE(interrupts_.WaitFor(1));
  EXPECT_EQ(watchdog_.guard(1).Check(), Stop::kDeadline);
  watchdog_.guard(1).End();
}

TEST_F(WatchdogTest, CancelInterruptsTheRightGuest) {
  guard_.Begin(1, SteadyClock::now() + hours(1));
  watchdog_.guard(1).Begin(2, SteadyClock::now() + hours(1));
  watchdog_.Cancel(2);
  EXPECT_EQ(interrupts_.count(), 1);
  EXPECT_EQ(guard_.Check(), Stop::kNo);
  EXPECT_EQ(watchdog_.guard(1).Check(), Stop::kCancelled);
  guard_.End();
  watchdog_.guard(1).End();
}

TEST_F(WatchdogTest, CancelBeforeTheBeginIsRemembered) {
  watchdog_.Cancel(7);
  guard_.Begin(6, SteadyClock::now() + hours(1));
  EXPECT_EQ(guard_.Check(), Stop::kNo);
  guard_.End();
  guard_.Begin(7, SteadyClock::now() + hours(1));
  EXPECT_EQ(guard_.Check(), Stop::kCancelled);
  guard_.End();
}

TEST_F(WatchdogTest, CancelOfWhatHasEndedTouchesNobody) {
  guard_.Begin(1, SteadyClock::now() + hours(1));
  guard_.End();
  watchdog_.Cancel(1);
  guard_.Begin(2, SteadyClock::now() + hours(1));
  EXPECT_EQ(guard_.Check(), Stop::kNo);
  guard_.End();
}

TEST_F(WatchdogTest, SleepEndsByItselfAtTheDeadlineAndByCancellation) {
  guard_.Begin(1, SteadyClock::now() + hours(1));
  EXPECT_EQ(guard_.WaitUntil(SteadyClock::now() + milliseconds(5)), Stop::kNo);
  guard_.End();
  guard_.Begin(2, SteadyClock::now() + milliseconds(20));
  EXPECT_EQ(guard_.WaitUntil(SteadyClock::now() + hours(1)), Stop::kDeadline);
  guard_.End();
  guard_.Begin(3, SteadyClock::now() + hours(1));
  std::thread canceller([this] { watchdog_.Cancel(3); });
  EXPECT_EQ(guard_.WaitUntil(SteadyClock::now() + hours(1)), Stop::kCancelled);
  canceller.join();
  guard_.End();
}

// Workers and a canceller race; under ThreadSanitizer this shows missing order.
TEST_F(WatchdogTest, BeginsAndCancelsMayRace) {
  constexpr uint64_t kRounds = 2000;
  std::atomic<uint64_t> running{0};
  std::thread canceller([this, &running] {
    uint64_t last = 0;
    while (last < kRounds) {
      const uint64_t id = running.load();
      if (id == last) continue;
      last = id;
      watchdog_.Cancel(id);
    }
  });
  for (uint64_t id = 1; id <= kRounds; ++id) {
    running.store(id);
    guard_.Begin(id, SteadyClock::now() + hours(1));
    // The last one is always cancelled; the others may be too fast.
    if (id == kRounds) {
      EXPECT_EQ(guard_.WaitUntil(SteadyClock::now() + hours(1)), Stop::kCancelled);
    }
    guard_.End();
  }
  canceller.join();
}

}  // namespace
}  // namespace hybridserve
