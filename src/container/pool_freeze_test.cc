// Frozen containers: when they freeze, what thaws them, and what happens when either fails.
#include <gmock/gmock.h>

#include "container/warm_pool_fixture.h"

namespace hybridserve {
namespace {

using namespace std::chrono_literals;

class PoolFreezeTest : public WarmPoolTest {
 protected:
  // The only container there is.
  ContainerId Id() { return runtime_.ids().at(0); }
  void ExpectHello(const SlotPtr& slot) {
    ASSERT_NE(slot, nullptr);
    FakeExchange exchange(loop_.executor());
    const Result<ForwardResult> result = Forward(*slot, exchange);
    ASSERT_TRUE(result) << result.error().message;
    EXPECT_EQ(exchange.body(), "hello");
  }
};

TEST_F(PoolFreezeTest, AnIdleContainerIsFrozenAndItsNextRequestThawsIt) {
  const DeployedPtr f = Function("f");
  Warm(f);
  Advance(900ms);
  EXPECT_FALSE(runtime_.frozen(Id()));
  Advance(200ms);
  EXPECT_TRUE(runtime_.frozen(Id()));
  EXPECT_EQ(Pool().Look(*f).frozen, 1);
  EXPECT_EQ(Pool().Look(*f).ready, 1);
  EXPECT_EQ(Pool().Look(*f).free_slots, 2);

  SlotPtr slot = Pool().TryAcquire(f);
  EXPECT_EQ(Pool().Look(*f).frozen, 0);
  ExpectHello(slot);
  EXPECT_EQ(thaws_, 1);
  EXPECT_FALSE(runtime_.frozen(Id()));
  Advance(5s);
  EXPECT_FALSE(runtime_.frozen(Id())) << "a slot of it is in use";
  slot.reset();
  Advance(1100ms);
  EXPECT_TRUE(runtime_.frozen(Id()));
  Advance(60s);
  EXPECT_EQ(runtime_.alive(), 0) << "keep_alive ends it as it is";
  EXPECT_EQ(clock_.Next(), Clock::TimePoint::max());
}

TEST_F(PoolFreezeTest, ANodeWhoseContainersAreAllFrozenDoesNothingUntilTheFirstExpires) {
  const DeployedPtr f = Function("f");
  Warm(f);
  const Clock::TimePoint ready = clock_.Now();
  Advance(5s);
  EXPECT_GE(clock_.Next(), ready + 59s);
}

TEST_F(PoolFreezeTest, ZeroMeansNever) {
  auto f = Function("f");
  f->manifest.scale.freeze_after = 0ms;
  Warm(f);
  Advance(50s);
  EXPECT_FALSE(runtime_.frozen(Id()));
  EXPECT_EQ(Pool().Look(*f).ready, 1);
}

TEST_F(PoolFreezeTest, ThoseThatAreKeptWarmFreezeToo) {
  auto f = Function("f");
  f->manifest.scale.min_warm = 1;
  Pool().KeepWarm(f);
  loop_.Settle();
  Advance(100s);
  EXPECT_TRUE(runtime_.frozen(Id()));
  ExpectHello(Pool().TryAcquire(f));
}

TEST_F(PoolFreezeTest, ARunningContainerIsTakenBeforeAFrozenOne) {
  const DeployedPtr f = Function("f");
  Warm(f);
  Warm(f);
  const SlotPtr a = Pool().TryAcquire(f);
  Advance(2s);
  ASSERT_EQ(Pool().Look(*f).frozen, 1);
  const SlotPtr b = Pool().TryAcquire(f);
  EXPECT_EQ(Pool().Look(*f).frozen, 1);
  const SlotPtr c = Pool().TryAcquire(f);
  EXPECT_EQ(Pool().Look(*f).frozen, 0);
  ExpectHello(c);
}

TEST_F(PoolFreezeTest, ARequestThatComesWhileItFreezesIsAnsweredOnceItIsThawed) {
  runtime_.freeze_time = 40ms;
  const DeployedPtr f = Function("f");
  Warm(f);
  Advance(1010ms);
  EXPECT_FALSE(runtime_.frozen(Id()));
  const SlotPtr slot = Pool().TryAcquire(f);
  ASSERT_NE(slot, nullptr);
  Advance(50ms);
  EXPECT_EQ(thaws_, 1);
  ExpectHello(slot);
}

TEST_F(PoolFreezeTest, ARequestIsUnderWayBeforeTheThawHasEnded) {
  runtime_.thaw_time = 30ms;
  const DeployedPtr f = Function("f");
  Warm(f);
  Advance(2s);
  const SlotPtr slot = Pool().TryAcquire(f);
  FakeExchange exchange(loop_.executor());
  auto answer = loop_.Start(slot->Forward(exchange, nullptr));
  EXPECT_FALSE(answer.done());
  Advance(50ms);
  ASSERT_TRUE(answer.done());
  EXPECT_EQ(exchange.body(), "hello");
}

TEST_F(PoolFreezeTest, TheLaterRequestsOfAThawShareIt) {
  runtime_.thaw_time = 30ms;
  const DeployedPtr f = Function("f");
  Warm(f);
  Advance(2s);
  const SlotPtr a = Pool().TryAcquire(f);
  const SlotPtr b = Pool().TryAcquire(f);
  ASSERT_TRUE(a && b);
  loop_.Settle();
  Advance(50ms);
  EXPECT_EQ(thaws_, 1);
  ExpectHello(a);
  ExpectHello(b);
}

TEST_F(PoolFreezeTest, OneThatIsGivenBackDuringItsThawFreezesAgain) {
  runtime_.thaw_time = 1500ms;
  const DeployedPtr f = Function("f");
  Warm(f);
  Advance(2s);
  Pool().TryAcquire(f).reset();
  Advance(1400ms);
  EXPECT_TRUE(runtime_.frozen(Id()));
  Advance(200ms);
  EXPECT_TRUE(runtime_.frozen(Id())) << "it has been idle for longer than freeze_after";
  EXPECT_EQ(thaws_, 1);
}

TEST_F(PoolFreezeTest, OneThatCannotBeThawedIsEndedWithItsRequest) {
  const DeployedPtr f = Function("f");
  Warm(f);
  Advance(2s);
  runtime_.thaw_error = Error{Code::kInternal, "the freezer is stuck"};
  const SlotPtr slot = Pool().TryAcquire(f);
  FakeExchange exchange(loop_.executor());
  auto answer = loop_.Start(slot->Forward(exchange, nullptr));
  Advance(200ms);
  ASSERT_TRUE(answer.done());
  ASSERT_FALSE(answer.result());
  EXPECT_THAT(answer.result().error().code,
              testing::AnyOf(Code::kBackendDied, Code::kUnavailable));
  EXPECT_EQ(runtime_.alive(), 0);
  EXPECT_EQ(Pool().Look(*f).ready, 0);
}

TEST_F(PoolFreezeTest, OneThatCannotBeStoppedNowRunsOnAndIsTriedAgain) {
  const DeployedPtr f = Function("f");
  Warm(f);
  runtime_.freeze_error = Error{Code::kTimeout, "it did not stop"};
  Advance(1500ms);
  EXPECT_EQ(Pool().Look(*f).frozen, 0);
  ExpectHello(Pool().TryAcquire(f));
  runtime_.freeze_error.reset();
  Advance(2s);
  EXPECT_EQ(Pool().Look(*f).frozen, 1);
}

TEST_F(PoolFreezeTest, ARuntimeThatCannotFreezeIsAskedOnce) {
  const DeployedPtr f = Function("f");
  Warm(f);
  runtime_.freeze_error = Error{Code::kUnsupported, "no freezer"};
  Advance(1500ms);
  runtime_.freeze_error.reset();
  Advance(10s);
  EXPECT_EQ(Pool().Look(*f).frozen, 0);
}

TEST_F(PoolFreezeTest, OneThatIsRetiredWhileItFreezesGoes) {
  runtime_.freeze_time = 40ms;
  const DeployedPtr f = Function("f");
  Warm(f);
  Advance(1010ms);
  Pool().Retire(f);
  Advance(100ms);
  EXPECT_EQ(runtime_.alive(), 0);
  EXPECT_EQ(clock_.Next(), Clock::TimePoint::max());
}

TEST_F(PoolFreezeTest, ManyFreezeTwoAtATime) {
  runtime_.freeze_time = 30ms;
  options_.max_containers = 5;
  std::vector<DeployedPtr> all;
  for (int i = 0; i < 5; ++i) {
    all.push_back(Function("f" + std::to_string(i)));
    EXPECT_TRUE(Pool().Prepare(all.back()));
  }
  loop_.Settle();
  Advance(1050ms);
  EXPECT_LE(Pool().LookAtNode().frozen, 2);
  Advance(200ms);
  EXPECT_EQ(Pool().LookAtNode().frozen, 5);
}

TEST_F(PoolFreezeTest, ASurvivorThatWasFrozenServesAgain) {
  const DeployedPtr f = Function("f");
  ContainerSpec spec = SpecFromManifest(*f);
  spec.sandbox.label = ContainerLabel(*f);
  const ContainerId id = runtime_.AddSurvivor(spec);
  ASSERT_TRUE(loop_.Run(runtime_.Freeze(id)));
  ASSERT_TRUE(loop_.Run(Pool().Adopt([&f](std::string_view) { return f; })));
  EXPECT_FALSE(runtime_.frozen(id));
  ExpectHello(Pool().TryAcquire(f));
}

}  // namespace
}  // namespace hybridserve
