#include "executors/common/precedence.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <semaphore>
#include <system_error>
#include <thread>

namespace hybridserve {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

int Nice() { return ::getpriority(PRIO_PROCESS, static_cast<id_t>(::gettid())); }

std::chrono::nanoseconds CpuTime() {
  timespec used{};
  (void)::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
}

// Room for one guest: the test's own thread, which uses no CPU, and whatever runs beside it are
// more than that.
class PrecedenceTest : public testing::Test {
 protected:
  PrecedenceTest() {
    precedence_.Enter(0);
    Begin(0, 1000);
  }
  ~PrecedenceTest() override { End(0); }

  void Begin(uint32_t index, uint64_t id) {
    watchdog_.guard(index).Begin(id, SteadyClock::now() + hours(1));
    precedence_.Begin(index, histories_[index]);
  }
  void End(uint32_t index) {
    watchdog_.guard(index).End();
    precedence_.End(index, histories_[index]);
  }
  // Spins as a guest until its thread was lowered; false: it never was.
  bool SpinUntilLowered(uint32_t index, uint64_t id) {
    Begin(index, id);
    const auto give_up = SteadyClock::now() + seconds(20);
    while (Nice() == normal_ && SteadyClock::now() < give_up) {
    }
    End(index);
    return precedence_.Lowered(index);
  }
  // Runs `body` as the thread of place 1.
  template <typename Body>
  void OnThread(Body body) {
    std::thread([&] {
      precedence_.Enter(1);
      body();
    }).join();
  }

  int normal_ = Nice();
  Watchdog watchdog_{2, [] {}};
  std::atomic<int> failing_starts_{0};
  std::atomic<int> starts_{0};
  std::counting_semaphore<> started_{0};
  Precedence precedence_{watchdog_, 2,
                         [this](uint32_t /*index*/) {
                           if (starts_++ < failing_starts_) {
                             throw std::system_error(EAGAIN, std::generic_category());
                           }
                           started_.release();
                         },
                         1};
  std::array<Precedence::History, 2> histories_;
};

TEST_F(PrecedenceTest, ThreadOfALongGuestIsLoweredAndReplaced) {
  OnThread([this] {
    EXPECT_TRUE(SpinUntilLowered(1, 1));
    EXPECT_EQ(Nice(), std::min(19, normal_ + Precedence::kLowerBy));
    precedence_.Replace(1);
  });
  EXPECT_TRUE(started_.try_acquire_for(seconds(20)));
  OnThread([this] {
    EXPECT_FALSE(precedence_.Lowered(1));
    EXPECT_EQ(Nice(), normal_);
    EXPECT_TRUE(SpinUntilLowered(1, 2));
  });
}

TEST_F(PrecedenceTest, AFunctionWhoseLastGuestWasLongBeginsLowUntilOneIsShort) {
  OnThread([this] { EXPECT_TRUE(SpinUntilLowered(1, 1)); });
  OnThread([this] {
    Begin(1, 2);
    EXPECT_TRUE(precedence_.Lowered(1));
    EXPECT_NE(Nice(), normal_);
    End(1);
  });
  OnThread([this] {
    Begin(1, 3);
    EXPECT_EQ(Nice(), normal_);
    End(1);
    EXPECT_FALSE(precedence_.Lowered(1));
  });
}

TEST_F(PrecedenceTest, AThreadThatCannotBeStartedIsTriedAgain) {
  failing_starts_ = 3;
  precedence_.Replace(1);
  EXPECT_TRUE(started_.try_acquire_for(seconds(20)));
  EXPECT_EQ(starts_, 4);
}

TEST_F(PrecedenceTest, AGuestThatUsesNoCpuKeepsItsPriority) {
  OnThread([this] { EXPECT_TRUE(SpinUntilLowered(1, 1)); });
  EXPECT_FALSE(precedence_.Lowered(0));
  EXPECT_EQ(Nice(), normal_);
}

TEST_F(PrecedenceTest, ShortGuestsAfterEachOtherKeepTheirThread) {
  OnThread([this] {
    const auto began = CpuTime();
    for (uint64_t id = 1; CpuTime() - began < 10 * Precedence::kLong; ++id) {
      Begin(1, id);
      End(1);
      ASSERT_FALSE(precedence_.Lowered(1)) << id;
    }
    EXPECT_EQ(Nice(), normal_);
  });
}

}  // namespace
}  // namespace hybridserve
