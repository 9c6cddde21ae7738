#include "container/warm_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <memory>
#include <string>
#include <vector>

#include "container/warm_pool_fixture.h"

namespace hybridserve {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST_F(WarmPoolTest, HasNothingUntilItIsToldToPrepare) {
  const DeployedPtr f = Function("f");
  EXPECT_EQ(Pool().TryAcquire(f), nullptr);
  EXPECT_EQ(Pool().Look(*f).starting, 0);
  EXPECT_TRUE(Pool().Prepare(f));
  EXPECT_EQ(Pool().Look(*f).starting, 1);
  EXPECT_EQ(Pool().TryAcquire(f), nullptr);
  loop_.Settle();
  EXPECT_EQ(Pool().Look(*f).ready, 1);
  EXPECT_EQ(Pool().Look(*f).free_slots, 2);
  EXPECT_THAT(boots_, ElementsAre("f ready"));
  EXPECT_EQ(slots_freed_, 1);
  const SlotPtr slot = Pool().TryAcquire(f);
  ASSERT_NE(slot, nullptr);
  EXPECT_EQ(Pool().Look(*f).busy_slots, 1);
}

TEST_F(WarmPoolTest, GivesTheContainerItsLabelPortAndLimits) {
  auto f = Function("f", 7);
  f->manifest.limits.memory_bytes = 123 << 20;
  f->environment["KEY"] = "value";
  Warm(f);
  const ContainerSpec* spec = runtime_.Spec(runtime_.ids().at(0));
  ASSERT_NE(spec, nullptr);
  EXPECT_EQ(spec->sandbox.label, "f@7");
  EXPECT_EQ(spec->sandbox.image, f->image);
  EXPECT_EQ(spec->sandbox.memory_bytes, 123 << 20);
  EXPECT_EQ(spec->sandbox.environment.at("KEY"), "value");
  EXPECT_EQ(spec->port, 8080);
}

TEST_F(WarmPoolTest, AFunctionWithNetworkHasItServedAsLongAsItsContainerLives) {
  auto f = Function("f");
  f->manifest.network = {"a.example.com"};
  Warm(f);
  EXPECT_EQ(services_, 1);
  const ContainerId id = runtime_.ids().at(0);
  EXPECT_TRUE(runtime_.Dial(id, kProxyPort));
  for (const char* name : {"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"}) {
    EXPECT_EQ(runtime_.Spec(id)->sandbox.environment.at(name), "http://127.0.0.1:3128");
  }
  runtime_.Exit(id, 1);
  loop_.Settle();
  EXPECT_EQ(services_, 0);
}

TEST_F(WarmPoolTest, AFunctionWithoutNetworkHasNone) {
  const DeployedPtr f = Function("f");
  Warm(f);
  EXPECT_EQ(services_, 0);
  EXPECT_FALSE(runtime_.Dial(runtime_.ids().at(0), kProxyPort));
  EXPECT_FALSE(runtime_.Spec(runtime_.ids().at(0))->sandbox.environment.contains("HTTP_PROXY"));
}

TEST_F(WarmPoolTest, AnAdoptedContainerHasItsNetworkAgain) {
  auto f = Function("f");
  f->manifest.network = {"a.example.com"};
  ContainerSpec spec;
  spec.sandbox.label = "f@1";
  runtime_.AddSurvivor(spec);
  const auto adopted = loop_.Run(Pool().Adopt([&f](std::string_view) -> DeployedPtr { return f; }));
  EXPECT_TRUE(adopted);
  EXPECT_EQ(Pool().Look(*f).ready, 1);
  EXPECT_EQ(services_, 1);
}

TEST_F(WarmPoolTest, ForwardsOverTheConnectionThatFoundItReady) {
  const DeployedPtr f = Function("f");
  Warm(f);
  for (int i = 0; i < 3; ++i) {
    const SlotPtr slot = Pool().TryAcquire(f);
    FakeExchange exchange(loop_.executor());
    const Result<ForwardResult> result = Forward(*slot, exchange);
    ASSERT_TRUE(result) << result.error().message;
    EXPECT_EQ(exchange.body(), "hello");
  }
  EXPECT_EQ(runtime_.connects(), 1);
}

TEST_F(WarmPoolTest, HandsOutEachSlotOnce) {
  const DeployedPtr f = Function("f");
  Warm(f);
  SlotPtr a = Pool().TryAcquire(f);
  SlotPtr b = Pool().TryAcquire(f);
  ASSERT_TRUE(a && b);
  EXPECT_EQ(Pool().TryAcquire(f), nullptr);
  EXPECT_EQ(Pool().Look(*f).free_slots, 0);
  a.reset();
  EXPECT_EQ(Pool().Look(*f).free_slots, 1);
  EXPECT_NE(Pool().TryAcquire(f), nullptr);
}

TEST_F(WarmPoolTest, StartsOneContainerOfAFunctionAtATime) {
  options_.boots = 4;
  const DeployedPtr f = Function("f");
  EXPECT_TRUE(Pool().Prepare(f));
  EXPECT_TRUE(Pool().Prepare(f));
  EXPECT_EQ(Pool().Look(*f).starting, 1);
  loop_.Settle();
  EXPECT_EQ(runtime_.created(), 1);
  Warm(f);
  EXPECT_FALSE(Pool().Prepare(f)) << "scale.max_containers is reached";
}

TEST_F(WarmPoolTest, KeepsToTheNodesBootSlots) {
  options_.boots = 2;
  runtime_.create_time = 100ms;
  const std::vector<DeployedPtr> functions{Function("a"), Function("b"), Function("c")};
  for (const auto& function : functions) EXPECT_TRUE(Pool().Prepare(function));
  loop_.Settle();
  Advance(50ms);
  EXPECT_EQ(Pool().LookAtNode().starting, 3);
  Advance(50ms);
  EXPECT_EQ(Pool().LookAtNode().ready, 2);
  EXPECT_EQ(Pool().Look(*functions[2]).starting, 1);
  Advance(100ms);
  EXPECT_EQ(Pool().LookAtNode().ready, 3);
  EXPECT_THAT(boots_, ElementsAre("a ready", "b ready", "c ready"));
}

TEST_F(WarmPoolTest, ExpiresAContainerAfterKeepAliveWithoutWork) {
  const DeployedPtr f = Function("f");
  Warm(f);
  Advance(59s);
  Pool().TryAcquire(f).reset();
  Advance(59s);
  EXPECT_EQ(Pool().Look(*f).ready, 1);
  Advance(2s);
  EXPECT_EQ(Pool().Look(*f).ready, 0);
  EXPECT_EQ(runtime_.alive(), 0);
  EXPECT_EQ(clock_.Next(), Clock::TimePoint::max()) << "an empty pool waits for nothing";
}

TEST_F(WarmPoolTest, DoesNotExpireABusyContainer) {
  const DeployedPtr f = Function("f");
  Warm(f);
  SlotPtr slot = Pool().TryAcquire(f);
  Advance(300s);
  EXPECT_EQ(Pool().Look(*f).ready, 1);
  slot.reset();
  Advance(61s);
  EXPECT_EQ(runtime_.alive(), 0);
}

TEST_F(WarmPoolTest, KeepsMinWarmContainersAndReplacesTheDead) {
  auto f = Function("f");
  f->manifest.scale.min_warm = 1;
  Pool().KeepWarm(f);
  loop_.Settle();
  EXPECT_EQ(Pool().Look(*f).ready, 1);
  Warm(f);
  Advance(100s);
  EXPECT_EQ(Pool().Look(*f).ready, 1) << "only the surplus one expires";
  runtime_.Exit(runtime_.ids().at(0), 1);
  loop_.Settle();
  EXPECT_EQ(Pool().Look(*f).failures_in_row, 1);
  Advance(2s);
  EXPECT_EQ(Pool().Look(*f).ready, 1);
  Pool().Retire(f);
  loop_.Settle();
  EXPECT_EQ(runtime_.alive(), 0);
}

TEST_F(WarmPoolTest, MakesRoomByEndingTheLongestIdleContainerOfAnotherFunction) {
  options_.max_containers = 2;
  const DeployedPtr a = Function("a"), b = Function("b"), c = Function("c");
  Warm(a);
  Advance(1s);
  Warm(b);
  Advance(1s);
  Pool().TryAcquire(a).reset();  // b is idle for longer now
  runtime_.destroy_time = 30ms;
  EXPECT_TRUE(Pool().Prepare(c));
  loop_.Settle();
  EXPECT_EQ(runtime_.created(), 2) << "room is there only once the other is gone";
  Advance(100ms);
  EXPECT_EQ(Pool().Look(*a).ready, 1);
  EXPECT_EQ(Pool().Look(*b).ready, 0);
  EXPECT_EQ(Pool().Look(*c).ready, 1);
  EXPECT_EQ(runtime_.most_alive(), 2);
}

TEST_F(WarmPoolTest, AContainerThatBreaksTwoConnectionsInARowTakesNoNewWork) {
  bool healthy = false;
  runtime_.program = [&healthy](const ContainerSpec&) {
    FakeProgram program;
    if (healthy) return program;
    program.serve = [](FakeSocket& socket) -> boost::asio::awaitable<void> {
      std::string buffer;
      co_await ReadFakeRequest(socket, buffer);
    };
    return program;
  };
  const DeployedPtr f = Function("f");
  Warm(f);
  for (int i = 0; i < 2; ++i) {
    const SlotPtr slot = Pool().TryAcquire(f);
    ASSERT_NE(slot, nullptr);
    FakeExchange exchange(loop_.executor());
    exchange.Post("not to be sent twice");
    auto answer = loop_.Start(slot->Forward(exchange, nullptr));
    Advance(200ms);
    ASSERT_TRUE(answer.done());
    EXPECT_FALSE(answer.result());
  }
  loop_.Settle();
  EXPECT_EQ(Pool().Look(*f).ready, 0);
  EXPECT_EQ(runtime_.alive(), 0);
  healthy = true;
  Warm(f);
  FakeExchange exchange(loop_.executor());
  EXPECT_TRUE(Forward(*Pool().TryAcquire(f), exchange));
}

TEST_F(WarmPoolTest, EndsTheLeastValuableIdleContainerForRoom) {
  options_.max_containers = 3;
  runtime_.create_time = 100ms;
  const DeployedPtr often = Function("often"), seldom = Function("seldom"), last = Function("last");
  auto big = Function("big");
  big->manifest.limits.memory_bytes = often->manifest.limits.memory_bytes * 8;
  Warm(often);
  for (int i = 0; i < 5; ++i) Pool().TryAcquire(often).reset();
  Warm(seldom);
  Pool().TryAcquire(seldom).reset();
  Warm(big);
  for (int i = 0; i < 5; ++i) Pool().TryAcquire(big).reset();
  EXPECT_NEAR(Pool().Look(*often).boot_time->count(), 100'000, 20'000);
  Warm(last);  // 5 uses of eight times the memory are worth less than one
  EXPECT_EQ(Pool().Look(*big).ready, 0);
  EXPECT_EQ(Pool().Look(*seldom).ready, 1);
  Warm(Function("next"));
  EXPECT_EQ(Pool().Look(*seldom).ready, 0);
  EXPECT_EQ(Pool().Look(*often).ready, 1) << "it is idle for longest, and asked for most";
}

TEST_F(WarmPoolTest, WhatIsNotAskedForAnyMoreLosesItsValue) {
  options_.max_containers = 2;
  runtime_.create_time = 10ms;
  const DeployedPtr once = Function("once");
  Warm(once);
  for (int i = 0; i < 3; ++i) Pool().TryAcquire(once).reset();
  for (int i = 0; i < 8; ++i) Warm(Function("f" + std::to_string(i)));
  EXPECT_EQ(Pool().Look(*once).ready, 0);
}

TEST_F(WarmPoolTest, NeverEndsABusyOrProtectedContainerForRoom) {
  options_.max_containers = 2;
  auto a = Function("a");
  a->manifest.scale.min_warm = 1;
  const DeployedPtr b = Function("b"), c = Function("c");
  Pool().KeepWarm(a);
  loop_.Settle();
  Warm(b);
  const SlotPtr slot = Pool().TryAcquire(b);
  EXPECT_FALSE(Pool().Prepare(c));
  EXPECT_EQ(runtime_.alive(), 2);
}

TEST_F(WarmPoolTest, KeepsToTheNodesMemory) {
  options_.memory_bytes = 300 << 20;
  auto a = Function("a"), b = Function("b"), big = Function("big"), huge = Function("huge");
  big->manifest.limits.memory_bytes = 256 << 20;
  huge->manifest.limits.memory_bytes = 1 << 30;
  Warm(a);
  Warm(b);
  EXPECT_FALSE(Pool().Prepare(huge)) << "it never fits, and nothing is ended for it";
  EXPECT_EQ(Pool().LookAtNode().ready, 2);
  Warm(big);
  EXPECT_EQ(Pool().LookAtNode().ready, 1);
}

TEST_F(WarmPoolTest, TellsWhyAContainerEndedBeforeItListened) {
  runtime_.program = [](const ContainerSpec&) {
    FakeProgram program;
    program.listens_after.reset();
    program.exits_after = 5ms;
    program.exit_status = 3;
    program.output = "starting\ncannot open /data\n";
    return program;
  };
  const DeployedPtr f = Function("f");
  auto task = Acquire(f);
  Advance(200ms);
  ASSERT_TRUE(task.done());
  ASSERT_FALSE(task.result());
  EXPECT_EQ(task.result().error().code, Code::kFunctionFailed);
  EXPECT_THAT(task.result().error().message, HasSubstr("exited with status 3 before it listened"));
  EXPECT_THAT(task.result().error().message, HasSubstr("cannot open /data"));
  EXPECT_EQ(runtime_.alive(), 0);
  EXPECT_THAT(boots_, ElementsAre("f failed"));
  EXPECT_EQ(Pool().Look(*f).failures_in_row, 1);
  EXPECT_TRUE(Pool().Look(*f).last_failure.has_value());
}

TEST_F(WarmPoolTest, TellsThatAContainerNeverListens) {
  runtime_.program = [](const ContainerSpec&) {
    FakeProgram program;
    program.listens_after.reset();
    program.output = "listening on port 3000\n";
    return program;
  };
  const DeployedPtr f = Function("f");
  auto task = Acquire(f);
  Advance(9s);
  EXPECT_FALSE(task.done()) << "start_timeout counts, not queue_timeout";
  Advance(2s);
  ASSERT_TRUE(task.done());
  ASSERT_FALSE(task.result());
  EXPECT_EQ(task.result().error().code, Code::kTimeout);
  EXPECT_THAT(task.result().error().message, HasSubstr("start timeout"));
  EXPECT_THAT(task.result().error().message, HasSubstr("port 8080"));
  EXPECT_THAT(task.result().error().message, HasSubstr("listening on port 3000"));
  EXPECT_EQ(runtime_.alive(), 0);
}

TEST_F(WarmPoolTest, DoesNotTryAFailedStartAgainAtOnce) {
  runtime_.start_error = Error{Code::kInvalidArgument, "no such program"};
  const DeployedPtr f = Function("f");
  auto first = Acquire(f);
  ASSERT_TRUE(first.done());
  EXPECT_EQ(first.result().error().code, Code::kFunctionFailed);
  EXPECT_THAT(first.result().error().message,
              HasSubstr("container of function 'f' cannot be started: no such program"));
  auto second = Acquire(f);
  ASSERT_TRUE(second.done());
  EXPECT_EQ(second.result().error().code, Code::kFunctionFailed);
  EXPECT_THAT(second.result().error().message, HasSubstr("not tried again at once"));
  EXPECT_EQ(runtime_.created(), 1);
  runtime_.start_error.reset();
  Advance(2s);
  auto third = Acquire(f);
  ASSERT_TRUE(third.done());
  EXPECT_TRUE(third.result());
  EXPECT_EQ(runtime_.alive(), 1);
}

TEST_F(WarmPoolTest, ForgetsFailuresOnceARequestWasAnswered) {
  const DeployedPtr f = Function("f");
  runtime_.create_error = Error{Code::kUnavailable, "no"};
  Pool().Prepare(f);
  loop_.Settle();
  EXPECT_EQ(Pool().Look(*f).failures_in_row, 1);
  runtime_.create_error.reset();
  Warm(f);
  FakeExchange exchange(loop_.executor());
  ASSERT_TRUE(Forward(*Pool().TryAcquire(f), exchange));
  EXPECT_EQ(Pool().Look(*f).failures_in_row, 0);
  EXPECT_EQ(Pool().Look(*f).last_failure, std::nullopt);
}

TEST_F(WarmPoolTest, WaitersGetSlotsInTheirOrderAndMoreContainersAreStarted) {
  auto f = Function("f");
  f->manifest.scale.slots = 1;
  std::vector<TestLoop::Task<Result<SlotPtr>>> tasks;
  for (int i = 0; i < 4; ++i) tasks.push_back(Acquire(f));
  EXPECT_TRUE(tasks[0].done());
  EXPECT_TRUE(tasks[1].done());
  EXPECT_FALSE(tasks[2].done());
  EXPECT_EQ(runtime_.created(), 2) << "as many as scale.max_containers allows";
  tasks[1].result()->reset();
  loop_.Settle();
  EXPECT_TRUE(tasks[2].done());
  EXPECT_FALSE(tasks[3].done());
}

TEST_F(WarmPoolTest, WhatNobodyWaitsForAnyMoreMakesRoomForThoseThatWait) {
  options_.max_containers = 2;
  auto b = Function("b");
  b->manifest.scale.slots = 1;
  auto first = Acquire(Function("a"));
  auto second = Acquire(b);
  auto left = Acquire(b);  // There is no room for another one.
  left.Cancel();
  loop_.Settle();
  ASSERT_TRUE(left.done());
  std::vector<TestLoop::Task<Result<SlotPtr>>> waiting;
  for (const char* name : {"c", "d", "e", "f", "g", "h"}) {
    waiting.push_back(Acquire(Function(name)));
  }
  second.result()->reset();
  Advance(20ms);
  const auto done = [](const auto& task) { return task.done(); };
  EXPECT_EQ(std::count_if(waiting.begin(), waiting.end(), done), 1);
  EXPECT_EQ(Pool().Look(*b).ready, 0u);
}

TEST_F(WarmPoolTest, AWaiterWithoutASlotTimesOut) {
  auto f = Function("f");
  f->manifest.scale.slots = 1;
  f->manifest.scale.max_containers = 1;
  auto first = Acquire(f);
  auto second = Acquire(f);
  Advance(4900ms);
  EXPECT_FALSE(second.done());
  Advance(200ms);
  ASSERT_TRUE(second.done());
  ASSERT_FALSE(second.result());
  EXPECT_EQ(second.result().error().code, Code::kTimeout);
  EXPECT_THAT(second.result().error().message, HasSubstr("queue timeout"));
}

TEST_F(WarmPoolTest, AWaiterWaitsForRoomAndIsToldThatThereWasNone) {
  options_.max_containers = 1;
  auto a = Function("a"), b = Function("b");
  auto busy = Acquire(a);
  auto waits = Acquire(b);
  auto late = Acquire(b);
  EXPECT_FALSE(waits.done());
  Advance(6s);
  ASSERT_TRUE(waits.done());
  EXPECT_EQ(waits.result().error().code, Code::kUnavailable);
  EXPECT_THAT(waits.result().error().message, HasSubstr("limit of 1 containers"));
  auto again = Acquire(b);
  busy.result()->reset();
  loop_.Settle();
  EXPECT_TRUE(again.done()) << "the idle container of another function made room";
  EXPECT_TRUE(again.result());
  EXPECT_EQ(runtime_.most_alive(), 1);
}

TEST_F(WarmPoolTest, ACancelledWaiterLeavesNothingBehind) {
  auto f = Function("f");
  f->manifest.scale.slots = 1;
  f->manifest.scale.max_containers = 1;
  auto first = Acquire(f);
  auto second = Acquire(f);
  auto third = Acquire(f);
  second.Cancel();
  loop_.Settle();
  ASSERT_TRUE(second.done());
  EXPECT_EQ(second.result().error().code, Code::kCancelled);
  first.result()->reset();
  loop_.Settle();
  EXPECT_TRUE(third.done());
  third.result()->reset();
  EXPECT_EQ(Pool().Look(*f).free_slots, 1);
}

TEST_F(WarmPoolTest, ACancelledRequestFreesItsSlotAndClosesItsConnection) {
  runtime_.program = [](const ContainerSpec&) {
    FakeProgram program;
    program.serve = [](FakeSocket& socket) -> boost::asio::awaitable<void> {
      std::string buffer;
      while (true) {
        const auto request = co_await ReadFakeRequest(socket, buffer);
        if (!request) co_return;
      }
    };
    return program;
  };
  const DeployedPtr f = Function("f");
  Warm(f);
  FakeExchange exchange(loop_.executor());
  SlotPtr slot = Pool().TryAcquire(f);
  auto task = loop_.Start(slot->Forward(exchange, nullptr));
  EXPECT_FALSE(task.done());
  task.Cancel();
  loop_.Settle();
  ASSERT_TRUE(task.done());
  EXPECT_EQ(task.result().error().code, Code::kCancelled);
  slot.reset();
  EXPECT_EQ(Pool().Look(*f).free_slots, 2);
  EXPECT_EQ(runtime_.open_connections(runtime_.ids().at(0)), 0);
}

TEST_F(WarmPoolTest, RetireEndsIdleContainersAtOnceAndBusyOnesAfterTheirRequests) {
  auto f = Function("f");
  f->manifest.scale.slots = 1;
  Warm(f);
  SlotPtr slot = Pool().TryAcquire(f);
  Warm(f);
  EXPECT_EQ(runtime_.alive(), 2);
  Pool().Retire(f);
  loop_.Settle();
  EXPECT_EQ(runtime_.alive(), 1);
  EXPECT_FALSE(Pool().Prepare(f));
  FakeExchange exchange(loop_.executor());
  EXPECT_TRUE(Forward(*slot, exchange));
  slot.reset();
  loop_.Settle();
  EXPECT_EQ(runtime_.alive(), 0);
}

TEST_F(WarmPoolTest, RetireStopsAStartUnlessSomeoneWaitsForIt) {
  runtime_.program = [](const ContainerSpec&) {
    FakeProgram program;
    program.listens_after = 100ms;
    return program;
  };
  const DeployedPtr f = Function("f"), g = Function("g");
  Pool().Prepare(f);
  Pool().Retire(f);
  Advance(10ms);
  EXPECT_EQ(runtime_.alive(), 0);
  EXPECT_THAT(boots_, ElementsAre("f cancelled"));

  auto waiting = Acquire(g);
  Pool().Retire(g);
  Advance(200ms);
  ASSERT_TRUE(waiting.done());
  ASSERT_TRUE(waiting.result()) << "a deploy drops no request";
  waiting.result()->reset();
  loop_.Settle();
  EXPECT_EQ(runtime_.alive(), 0);
}

TEST_F(WarmPoolTest, RevisionsOfOneFunctionDoNotMix) {
  const DeployedPtr old = Function("f", 1), next = Function("f", 2);
  Warm(old);
  EXPECT_EQ(Pool().TryAcquire(next), nullptr);
  Warm(next);
  Pool().Retire(old);
  loop_.Settle();
  EXPECT_EQ(Pool().TryAcquire(old), nullptr);
  EXPECT_NE(Pool().TryAcquire(next), nullptr);
}

TEST_F(WarmPoolTest, KeepWarmTakesBackARetirement) {
  auto f = Function("f");
  f->manifest.scale.min_warm = 1;
  Warm(f);
  SlotPtr slot = Pool().TryAcquire(f);
  Pool().Retire(f);
  Pool().KeepWarm(f);
  slot.reset();
  loop_.Settle();
  EXPECT_EQ(Pool().Look(*f).free_slots, 2);
}

TEST_F(WarmPoolTest, ADeadContainerIsReplacedForThoseWhoWait) {
  auto f = Function("f");
  f->manifest.scale.slots = 1;
  f->manifest.scale.max_containers = 1;
  Warm(f);
  SlotPtr slot = Pool().TryAcquire(f);
  FakeExchange exchange(loop_.executor());
  ASSERT_TRUE(Forward(*slot, exchange));
  auto waiting = Acquire(f);
  runtime_.Exit(runtime_.ids().at(0), 137, true);
  loop_.Settle();
  ASSERT_TRUE(waiting.done());
  EXPECT_TRUE(waiting.result()) << waiting.result().error().message;
  EXPECT_EQ(runtime_.created(), 2);
  slot.reset();
  EXPECT_EQ(Pool().Look(*f).busy_slots, 1);
}

TEST_F(WarmPoolTest, ARequestIsToldWhyItsContainerDied) {
  runtime_.program = [](const ContainerSpec&) {
    FakeProgram program;
    program.serve = [](FakeSocket& socket) -> boost::asio::awaitable<void> {
      std::string buffer;
      while (true) {
        const auto request = co_await ReadFakeRequest(socket, buffer);
        if (!request) co_return;
      }
    };
    return program;
  };
  const DeployedPtr f = Function("f");
  Warm(f);
  SlotPtr slot = Pool().TryAcquire(f);
  FakeExchange exchange(loop_.executor());
  auto task = loop_.Start(slot->Forward(exchange, nullptr));
  runtime_.WriteLog(runtime_.ids().at(0), "out of ideas\n");
  loop_.Settle();
  runtime_.Exit(runtime_.ids().at(0), 137, true);
  loop_.Settle();
  ASSERT_TRUE(task.done());
  EXPECT_EQ(task.result().error().code, Code::kFunctionFailed);
  EXPECT_THAT(task.result().error().message, HasSubstr("limits.memory"));
  EXPECT_THAT(task.result().error().message, HasSubstr("out of ideas"));
  EXPECT_THAT(lines_, ElementsAre("out of ideas"));
  slot.reset();
  loop_.Settle();
  EXPECT_EQ(runtime_.alive(), 0);
}

// A container that is gone, or not, when it has the second request of its connection.
class WarmPoolDeath : public WarmPoolTest {
 protected:
  Result<ForwardResult> SecondRequest(std::function<void(ContainerId)> dies) {
    runtime_.program = [this, dies](const ContainerSpec&) {
      FakeProgram program;
      program.serve = [this, dies](FakeSocket& socket) -> boost::asio::awaitable<void> {
        std::string buffer;
        while (co_await ReadFakeRequest(socket, buffer)) {
          if (requests_++ > 0) {
            dies(runtime_.ids().at(0));
            co_return;
          }
          const std::string answer = FakeAnswer("first");
          co_await boost::asio::async_write(
              socket, boost::asio::buffer(answer),
              boost::asio::as_tuple(boost::asio::use_awaitable));
        }
      };
      return program;
    };
    const DeployedPtr f = Function("f");
    Warm(f);
    const SlotPtr slot = Pool().TryAcquire(f);
    FakeExchange first(loop_.executor());
    EXPECT_TRUE(Forward(*slot, first));
    FakeExchange second(loop_.executor());
    auto task = loop_.Start(slot->Forward(second, nullptr));
    Advance(100ms);
    EXPECT_TRUE(task.done());
    return task.result();
  }
  int requests_ = 0;
};

TEST_F(WarmPoolDeath, OfItsProcessIsToldFromARequestThatNeverArrived) {
  const auto result = SecondRequest([this](ContainerId id) { runtime_.Exit(id, 128 + 9); });
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::kBackendDied);
  EXPECT_THAT(result.error().message, HasSubstr("was ended by signal 9"));
  EXPECT_EQ(requests_, 2);
}

TEST_F(WarmPoolDeath, ForMoreThanItsMemoryIsTheFunctionsOwnFailure) {
  const auto result = SecondRequest([this](ContainerId id) { runtime_.Exit(id, 137, true); });
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::kFunctionFailed);
}

TEST_F(WarmPoolDeath, IsNotWhatClosesEveryConnection) {
  const auto result = SecondRequest([](ContainerId) {});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::kFunctionFailed);
  EXPECT_EQ(requests_, 3) << "sent once more over a new connection, and no further";
}

TEST_F(WarmPoolTest, AConnectionThatWasClosedMeanwhileIsReplaced) {
  const DeployedPtr f = Function("f");
  Warm(f);
  runtime_.CloseConnections(runtime_.ids().at(0));
  loop_.Settle();
  FakeExchange exchange(loop_.executor());
  exchange.Post("not idempotent, and nothing was sent");
  SlotPtr slot = Pool().TryAcquire(f);
  const Result<ForwardResult> result = Forward(*slot, exchange);
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(runtime_.connects(), 2);
}

TEST_F(WarmPoolTest, ARequestCanGoElsewhereWhenTheContainerNoLongerListens) {
  const DeployedPtr f = Function("f");
  Warm(f);
  runtime_.StopListening(runtime_.ids().at(0));
  FakeExchange exchange(loop_.executor());
  SlotPtr slot = Pool().TryAcquire(f);
  const Result<ForwardResult> result = Forward(*slot, exchange);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::kUnavailable);
  EXPECT_FALSE(exchange.answered());
  EXPECT_EQ(Pool().TryAcquire(f), nullptr) << "it takes no new work";
  slot.reset();
  loop_.Settle();
  EXPECT_EQ(runtime_.alive(), 0);
}

TEST_F(WarmPoolTest, AdoptsWhatARestartLeftAndRemovesTheRest) {
  const auto survivor = [this](const std::string& label) {
    ContainerSpec spec;
    spec.sandbox.label = label;
    return runtime_.AddSurvivor(spec);
  };
  const ContainerId known = survivor("f@3");
  survivor("f@2");
  survivor("gone@1");
  survivor("");
  const DeployedPtr f = Function("f", 3);
  const Result<> adopted = loop_.Run(
      Pool().Adopt([&f](std::string_view label) { return label == "f@3" ? f : DeployedPtr(); }));
  ASSERT_TRUE(adopted);
  loop_.Settle();
  EXPECT_THAT(runtime_.ids(), ElementsAre(known));
  SlotPtr slot = Pool().TryAcquire(f);
  ASSERT_NE(slot, nullptr);
  FakeExchange exchange(loop_.executor());
  EXPECT_TRUE(Forward(*slot, exchange));
  runtime_.WriteLog(known, "still here\n");
  loop_.Settle();
  EXPECT_THAT(lines_, ElementsAre("still here"));
  slot.reset();
  Advance(61s);
  EXPECT_EQ(runtime_.alive(), 0);
}

TEST_F(WarmPoolTest, DrainEndsEverythingAndRefusesNewWork) {
  auto f = Function("f"), g = Function("g"), h = Function("h");
  f->manifest.scale.slots = 1;
  f->manifest.scale.max_containers = 1;
  Warm(f);
  SlotPtr slot = Pool().TryAcquire(f);
  auto waiting = Acquire(f);
  runtime_.create_time = 50ms;
  runtime_.destroy_time = 50ms;
  Pool().Prepare(g);
  Pool().Prepare(h);
  auto drained = loop_.Start(Pool().Drain());
  EXPECT_FALSE(drained.done());
  Advance(300ms);
  ASSERT_TRUE(drained.done());
  EXPECT_EQ(runtime_.alive(), 0);
  ASSERT_TRUE(waiting.done());
  EXPECT_EQ(waiting.result().error().code, Code::kUnavailable);
  EXPECT_FALSE(Pool().Prepare(f));
  EXPECT_EQ(Pool().TryAcquire(f), nullptr);
  auto refused = Acquire(f);
  EXPECT_EQ(refused.result().error().code, Code::kUnavailable);
  slot.reset();
}

TEST_F(WarmPoolTest, MeasuresTheMemoryThatContainersUse) {
  const DeployedPtr f = Function("f");
  Warm(f);
  EXPECT_EQ(Pool().Used().memory_bytes, 0);
  Advance(1s);
  EXPECT_EQ(Pool().Used().memory_bytes, 1 << 20);
  Advance(61s);
  EXPECT_EQ(Pool().Used().memory_bytes, 0);
}

TEST_F(WarmPoolTest, AContainerThatCannotBeRemovedIsTriedAgain) {
  const DeployedPtr f = Function("f");
  Warm(f);
  runtime_.destroy_error = Error{Code::kInternal, "busy"};
  Pool().Retire(f);
  EXPECT_EQ(Pool().Used().ending, 1);
  Advance(1s);
  EXPECT_EQ(Pool().LookAtNode().ready, 0);
  EXPECT_EQ(Pool().Used().ending, 0);
  auto drained = loop_.Start(Pool().Drain());
  EXPECT_TRUE(drained.done());
}

TEST_F(WarmPoolTest, AFunctionWithoutAnImageGetsNoContainer) {
  auto f = Function("f"), g = Function("g");
  f->image.value.clear();
  g->manifest.scale.max_containers = 0;
  for (const auto& function : {f, g}) {
    EXPECT_FALSE(Pool().Prepare(function));
    auto task = Acquire(function);
    ASSERT_TRUE(task.done());
    EXPECT_EQ(task.result().error().code, Code::kUnavailable);
  }
}

}  // namespace
}  // namespace hybridserve
