#include "router/router.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <concepts>
#include <list>

#include "container/event.h"
#include "router/body.h"
#include "router/fake.h"
#include "wasm/fake_backend.h"

namespace hybridserve {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class RouterTest : public testing::Test {
 protected:
  static constexpr uint32_t kWasmSlots = 2;

  Router::Options MakeOptions() {
    Router::Options options;
    options.allow_route_header = true;
    options.max_unload_delay = milliseconds(1);
    options.clock = &clock_;
    return options;
  }

  RouterTest() {
    pool_.SetFreed([this](const Deployed& function) { router_.OnSlotFreed(function); });
  }

  void TearDown() override {
    wasm_.ReleaseAll();
    Poll();
    for (const auto& flight : flights_) EXPECT_TRUE(flight->done);
  }

  // Deploys a function whose manifest is changed by `change`.
  template <std::invocable<Deployed&> Change>
  DeployedPtr Deploy(Change change, int64_t revision = 1) {
    auto function = MakeFunction("hello", revision);
    change(*function);
    router_.Deploy(function);
    return function;
  }
  DeployedPtr Deploy(int64_t revision = 1) {
    return Deploy([](Deployed&) {}, revision);
  }

  // One request in flight.
  struct Flight {
    template <typename... Args>
    explicit Flight(Args&&... args) : exchange(std::forward<Args>(args)...) {}
    MemoryExchange exchange;
    asio::cancellation_signal cancel;
    bool done = false;
  };

  Flight& Start(const DeployedPtr& function, std::unique_ptr<Flight> flight) {
    Flight& started = *flights_.emplace_back(std::move(flight));
    asio::co_spawn(
        loop_, router_.Handle(function, started.exchange),
        asio::bind_cancellation_slot(started.cancel.slot(),
                                     [&started](std::exception_ptr) { started.done = true; }));
    Poll();
    return started;
  }
  Flight& Start(const DeployedPtr& function) { return Start(function, std::make_unique<Flight>()); }

  void Poll() {
    loop_.restart();
    loop_.poll();
  }
  void Advance(std::chrono::steady_clock::duration by) {
    clock_.Advance(by);
    Poll();
  }

  // One request to its end.
  MemoryExchange& Call(const DeployedPtr& function) { return Start(function).exchange; }
  MemoryExchange& Call(const DeployedPtr& function, const std::string& route) {
    auto flight = std::make_unique<Flight>();
    flight->exchange.mutable_head().headers.push_back({"HybridServe-Route", route});
    return Start(function, std::move(flight)).exchange;
  }
  MemoryExchange& Post(const DeployedPtr& function, std::vector<std::string> pieces,
                       bool announced) {
    return Start(function, std::make_unique<Flight>(std::move(pieces), announced)).exchange;
  }

  static std::string Reason(const MemoryExchange& exchange) {
    return exchange.served_by() ? std::string(exchange.served_by()->reason) : "";
  }
  static std::string BackendOf(const MemoryExchange& exchange) {
    return exchange.served_by() ? std::string(BackendName(exchange.served_by()->backend)) : "";
  }

  void ExpectRunAgain(const MemoryExchange& exchange, const std::string& from,
                      const std::string& to) const {
    EXPECT_EQ(exchange.status(), 200);
    EXPECT_EQ(BackendOf(exchange), to);
    EXPECT_EQ(Reason(exchange), "retry");
    EXPECT_THAT(metrics_.Serialize(),
                HasSubstr("hybridserve_retries_total{function=\"hello\",from=\"" + from + "\"} 1"));
  }

  ManualClock clock_;
  asio::io_context loop_;
  Metrics metrics_;
  FakeWasmBackend wasm_{loop_.get_executor(), kWasmSlots};
  FakePool pool_;
  Router router_{loop_.get_executor(), MakeOptions(), &wasm_, &pool_, metrics_};
  std::list<std::unique_ptr<Flight>> flights_;
};

TEST_F(RouterTest, TheFirstRequestRunsOnWasmAndPreparesAContainer) {
  const auto function = Deploy();
  const MemoryExchange& exchange = Post(function, {"hello"}, true);
  EXPECT_EQ(exchange.status(), 200);
  EXPECT_EQ(exchange.answer(), "hello");
  EXPECT_EQ(BackendOf(exchange), "wasm");
  EXPECT_EQ(Reason(exchange), "no-warm-container");
  EXPECT_EQ(exchange.served_by()->start, StartKind::kCold);
  EXPECT_EQ(pool_.prepared(), 1u);
}

TEST_F(RouterTest, AWarmContainerTakesTheRequestAndItsBody) {
  const auto function = Deploy();
  pool_.SetFree(1);
  const MemoryExchange& exchange = Post(function, {"a", "b"}, false);
  EXPECT_EQ(exchange.answer(), "ab");
  EXPECT_EQ(BackendOf(exchange), "container");
  EXPECT_EQ(Reason(exchange), "warm-container");
  EXPECT_EQ(exchange.served_by()->start, StartKind::kWarm);
  EXPECT_EQ(exchange.served_by()->timing.run, Microseconds(7));
  EXPECT_EQ(wasm_.invocations(), 0u);
}

TEST_F(RouterTest, TheSurplusOfABusyContainerRunsOnWasm) {
  const auto function = Deploy();
  pool_.SetBusy(1);
  const MemoryExchange& exchange = Call(function);
  EXPECT_EQ(exchange.status(), 200);
  EXPECT_EQ(Reason(exchange), "container-busy");
}

TEST_F(RouterTest, TheHeaderChoosesThePolicyWhereItIsAllowed) {
  const auto function = Deploy();
  pool_.SetFree(1);
  EXPECT_EQ(Reason(Call(function, "wasm-only")), "route-header");
  EXPECT_EQ(BackendOf(Call(function, "container-only")), "container");
  EXPECT_EQ(Call(function, "fastest").status(), 400);
}

TEST_F(RouterTest, TheHeaderIsRefusedWhereItIsNotAllowed) {
  Router strict(loop_.get_executor(), Router::Options(), &wasm_, &pool_, metrics_);
  const auto function = MakeFunction("hello");
  strict.Deploy(function);
  MemoryExchange exchange;
  exchange.mutable_head().headers.push_back({"HybridServe-Route", "paper"});
  asio::co_spawn(loop_, strict.Handle(function, exchange), [](std::exception_ptr) {});
  Poll();
  EXPECT_EQ(exchange.status(), 403);
  EXPECT_THAT(exchange.answer(), HasSubstr("allow_route_header"));
  EXPECT_EQ(wasm_.invocations(), 0u);
  // No backend had to do with it: it is no invocation.
  EXPECT_FALSE(exchange.served_by());
  const std::string metrics = metrics_.Serialize();
  EXPECT_THAT(metrics, HasSubstr("hybridserve_refused_total{status=\"403\"} 1"));
  EXPECT_THAT(metrics, Not(HasSubstr("function=\"hello\"")));
}

TEST_F(RouterTest, AnswersThatTheNodeHasNoRoomForAreRefused) {
  Router::Options options = MakeOptions();
  options.answer_memory_bytes = 100;
  Router small(loop_.get_executor(), options, &wasm_, &pool_, metrics_);
  const auto function = MakeFunction("hello");
  small.Deploy(function);
  MemoryExchange fits({std::string(90, 'x')}, true);
  MemoryExchange too_large({std::string(101, 'x')}, true);
  for (MemoryExchange* exchange : {&fits, &too_large, &fits}) {
    asio::co_spawn(loop_, small.Handle(function, *exchange), [](std::exception_ptr) {});
    Poll();
  }
  EXPECT_EQ(fits.status(), 200);
  EXPECT_EQ(too_large.status(), 503);
  EXPECT_THAT(too_large.answer(), HasSubstr("100 bytes"));
}

TEST_F(RouterTest, TheFunctionsPolicyGoesBeforeTheNodes) {
  pool_.SetFree(1);
  const auto function = Deploy([](Deployed& f) { f.manifest.policy = PolicyKind::kWasmOnly; });
  EXPECT_EQ(Reason(Call(function)), "policy-wasm-only");
}

TEST_F(RouterTest, ALackingBuildIsAnErrorThatNamesTheFunction) {
  const auto function = Deploy([](Deployed& f) {
    f.manifest.policy = PolicyKind::kWasmOnly;
    f.module = {};
  });
  const MemoryExchange& exchange = Call(function);
  EXPECT_EQ(exchange.status(), 501);
  EXPECT_THAT(exchange.answer(), HasSubstr("function 'hello'"));
  EXPECT_THAT(exchange.answer(), HasSubstr("\"code\":\"unsupported\""));
}

TEST_F(RouterTest, AnAnnouncedBodyOverTheLimitIsRefusedUnread) {
  const auto function = Deploy([](Deployed& f) { f.manifest.limits.body_bytes = 3; });
  const MemoryExchange& exchange = Post(function, {"abcd"}, true);
  EXPECT_EQ(exchange.status(), 413);
  EXPECT_THAT(exchange.answer(), HasSubstr("takes at most 3"));
  EXPECT_EQ(wasm_.invocations(), 0u);
}

TEST_F(RouterTest, AChunkedBodyOverTheLimitIsRefused) {
  const auto function = Deploy([](Deployed& f) { f.manifest.limits.body_bytes = 3; });
  EXPECT_EQ(Post(function, {"ab", "cd"}, false).status(), 413);
}

TEST_F(RouterTest, AFailedGuestIsAnswered502) {
  const auto function = Deploy();
  wasm_.SetHandler([](const WasmInvocation&) -> Result<FakeWasmAnswer> {
    return Fail(Code::kFunctionFailed, "the guest trapped: unreachable");
  });
  const MemoryExchange& exchange = Call(function);
  EXPECT_EQ(exchange.status(), 502);
  EXPECT_EQ(exchange.answer(),
            "{\"error\":{\"code\":\"function_failed\",\"message\":\"the guest trapped: "
            "unreachable\"}}\n");
  EXPECT_THAT(metrics_.Serialize(), HasSubstr("outcome=\"function_failed\"} 1"));
}

TEST_F(RouterTest, AFullQueueIsAnswered429WithRetryAfter) {
  const auto function = Deploy([](Deployed& f) {
    f.manifest.limits.concurrency = 1;
    f.manifest.limits.queue = 1;
  });
  wasm_.Hold();
  Start(function);
  Start(function);
  EXPECT_EQ(router_.Status(function->manifest.name).queued, 1u);
  const MemoryExchange& exchange = Call(function);
  EXPECT_EQ(exchange.status(), 429);
  EXPECT_THAT(exchange.answer_headers(), testing::Contains(Header{"Retry-After", "1"}));
}

TEST_F(RouterTest, AQueueOfNoneRefusesAtOnce) {
  const auto function = Deploy([](Deployed& f) {
    f.manifest.limits.concurrency = 1;
    f.manifest.limits.queue = 0;
  });
  wasm_.Hold();
  Start(function);
  EXPECT_EQ(Call(function).status(), 429);
}

TEST_F(RouterTest, TheQueueTimeoutIsAnswered504AndSaysSo) {
  const auto function = Deploy([](Deployed& f) {
    f.manifest.limits.concurrency = 1;
    f.manifest.limits.queue_timeout = milliseconds(2);
  });
  wasm_.Hold();
  Start(function);
  const Flight& waits = Start(function);
  EXPECT_FALSE(waits.done);
  Advance(milliseconds(2));
  EXPECT_TRUE(waits.done);
  EXPECT_EQ(waits.exchange.status(), 504);
  EXPECT_THAT(waits.exchange.answer(), HasSubstr("queue timeout"));
}

TEST_F(RouterTest, ARequestThatWouldWaitTooLongIsRefusedAtOnce) {
  const auto function = Deploy([](Deployed& f) {
    f.manifest.limits.concurrency = 1;
    f.manifest.limits.queue = 100;
    f.manifest.limits.queue_timeout = seconds(5);
  });
  wasm_.Hold();
  Start(function);
  Advance(seconds(3));  // What a guest takes.
  wasm_.ReleaseOne();
  Poll();
  Start(function);
  Start(function);
  const Flight& after_one = Start(function);
  EXPECT_FALSE(after_one.done);  // One waits before it: 3 s.
  const MemoryExchange& after_two = Call(function);
  EXPECT_EQ(after_two.status(), 429);
  EXPECT_THAT(after_two.answer(), HasSubstr("will take about 6000 ms"));
  EXPECT_THAT(after_two.answer_headers(), testing::Contains(Header{"Retry-After", "1"}));
  EXPECT_EQ(router_.Status(function->manifest.name).queued, 2u);
}

TEST_F(RouterTest, QueuedRequestsRunAsSlotsBecomeFreeAndTheirWaitIsMeasured) {
  const auto function = Deploy([](Deployed& f) { f.manifest.limits.concurrency = 1; });
  wasm_.Hold();
  Start(function);
  const Flight& waits = Start(function);
  Advance(milliseconds(3));
  wasm_.ReleaseOne();
  Poll();
  wasm_.ReleaseAll();
  Poll();
  EXPECT_TRUE(waits.done);
  EXPECT_EQ(waits.exchange.served_by()->timing.queue, Microseconds(3000));
  EXPECT_EQ(wasm_.peak_running(), 1u);
}

TEST_F(RouterTest, AClientThatLeavesEndsItsGuestAndFreesTheSlot) {
  const auto function = Deploy();
  wasm_.Hold();
  Flight& flight = Start(function);
  EXPECT_EQ(router_.Status(function->manifest.name).wasm_running, 1u);
  flight.cancel.emit(asio::cancellation_type::terminal);
  Poll();
  EXPECT_TRUE(flight.done);
  EXPECT_EQ(wasm_.cancelled(), 1u);
  EXPECT_EQ(flight.exchange.status(), 0);
  EXPECT_EQ(router_.Status(function->manifest.name).wasm_running, 0u);
  EXPECT_THAT(metrics_.Serialize(), HasSubstr("outcome=\"cancelled\"} 1"));
}

TEST_F(RouterTest, AClientThatLeavesTheQueueNeverStartsAGuest) {
  const auto function = Deploy([](Deployed& f) { f.manifest.limits.concurrency = 1; });
  wasm_.Hold();
  Start(function);
  Flight& waits = Start(function);
  waits.cancel.emit(asio::cancellation_type::terminal);
  wasm_.ReleaseAll();
  Poll();
  EXPECT_TRUE(waits.done);
  EXPECT_EQ(wasm_.invocations(), 1u);
  EXPECT_EQ(router_.Status(function->manifest.name).queued, 0u);
}

TEST_F(RouterTest, AQueuedRequestTakesAContainerThatBecomesFree) {
  const auto function = Deploy([](Deployed& f) { f.manifest.limits.concurrency = 1; });
  pool_.SetBusy(1);
  wasm_.Hold();
  Start(function);
  const MemoryExchange& queued = Post(function, {"body"}, true);
  EXPECT_EQ(queued.status(), 0);
  pool_.SetFree(1);
  router_.OnSlotFreed(*function);
  Poll();
  EXPECT_EQ(queued.answer(), "body");
  EXPECT_EQ(BackendOf(queued), "container");
  EXPECT_EQ(wasm_.invocations(), 1u);
}

Awaitable<ForwardResult> Unreachable(Exchange& /*exchange*/, FakePool::AddHeaders) {
  co_return Fail(Code::kUnavailable, "connect: refused");
}

Awaitable<ForwardResult> DiesHalfWay(Exchange& exchange, FakePool::AddHeaders) {
  CO_TRY(co_await exchange.Begin(ResponseHead{}, 100));
  CO_TRY(co_await exchange.Write("half"));
  co_return Fail(Code::kFunctionFailed, "the container died");
}

TEST_F(RouterTest, AContainerThatTakesNoConnectionLeavesTheRequestToWasm) {
  const auto function = Deploy();
  pool_.SetFree(1);
  pool_.SetForwarder(Unreachable);
  const MemoryExchange& exchange = Post(function, {"body"}, true);
  EXPECT_EQ(exchange.answer(), "body");
  EXPECT_EQ(Reason(exchange), "container-unreachable");
}

TEST_F(RouterTest, AQueuedRequestStaysQueuedWhenTheFreedContainerIsUnreachable) {
  const auto function = Deploy([](Deployed& f) { f.manifest.limits.concurrency = 1; });
  pool_.SetBusy(1);
  pool_.SetForwarder(Unreachable);
  wasm_.Hold();
  Start(function);
  const MemoryExchange& queued = Post(function, {"body"}, true);
  pool_.SetFree(1);
  router_.OnSlotFreed(*function);
  Poll();
  EXPECT_EQ(queued.status(), 0);
  wasm_.ReleaseAll();
  Poll();
  EXPECT_EQ(queued.answer(), "body");
  EXPECT_EQ(BackendOf(queued), "wasm");
}

TEST_F(RouterTest, ContainerOnlyDoesNotFallBackToWasm) {
  const auto function = Deploy();
  pool_.SetFree(1);
  pool_.SetForwarder(Unreachable);
  EXPECT_EQ(Call(function, "container-only").status(), 503);
  EXPECT_EQ(wasm_.invocations(), 0u);
}

TEST_F(RouterTest, AnAnswerThatHasBegunIsNotFollowedByAnother) {
  const auto function = Deploy();
  pool_.SetFree(1);
  pool_.SetForwarder(DiesHalfWay);
  const MemoryExchange& exchange = Call(function);
  EXPECT_EQ(exchange.status(), 200);
  EXPECT_EQ(exchange.answer(), "half");
  EXPECT_FALSE(exchange.ended());
  EXPECT_THAT(metrics_.Serialize(), HasSubstr("outcome=\"function_failed\"} 1"));
}

Awaitable<ForwardResult> Dies(Exchange& /*exchange*/, FakePool::AddHeaders) {
  co_return Fail(Code::kBackendDied, "the container closed the connection before it answered");
}

// Waits first, or until the client leaves.
Awaitable<ForwardResult> DiesAfter(Event& event, Exchange& /*exchange*/, FakePool::AddHeaders) {
  co_await event.Wait();
  co_return Fail(Code::kBackendDied, "the container closed the connection before it answered");
}

// Takes the whole body first.
Awaitable<ForwardResult> DiesAtTheEnd(Exchange& exchange, FakePool::AddHeaders) {
  while (true) {
    CO_TRY_ASSIGN(const std::string_view piece, co_await exchange.ReadBody());
    if (piece.empty()) co_return Fail(Code::kBackendDied, "the container died");
  }
}

Result<FakeWasmAnswer> ExecutorDies(const WasmInvocation&) {
  return Fail(Code::kBackendDied, "the executor died while it ran the function");
}

const auto kIdempotent = [](Deployed& f) { f.manifest.idempotent = true; };

TEST_F(RouterTest, AGetWhoseExecutorDiesIsRunAgainInAContainer) {
  const auto function = Deploy();
  wasm_.SetHandler([this](const WasmInvocation& invocation) {
    pool_.SetFree(1);
    return ExecutorDies(invocation);
  });
  ExpectRunAgain(Call(function), "wasm", "container");
}

TEST_F(RouterTest, AGetWhoseContainerDiesIsRunAgainOnWasm) {
  const auto function = Deploy();
  pool_.SetFree(1);
  pool_.SetForwarder(Dies);
  ExpectRunAgain(Call(function), "container", "wasm");
}

TEST_F(RouterTest, OtherMethodsAreRunAgainOnlyIfTheFunctionIsIdempotent) {
  pool_.SetFree(1);
  pool_.SetForwarder(DiesAtTheEnd);
  const MemoryExchange& refused = Post(Deploy(), {"body"}, true);
  EXPECT_EQ(refused.status(), 502);
  EXPECT_THAT(refused.answer(), HasSubstr("\"code\":\"backend_died\""));
  EXPECT_EQ(wasm_.invocations(), 0u);
  const auto idempotent = Deploy(kIdempotent, 2);
  for (const bool announced : {true, false}) {
    EXPECT_EQ(Post(idempotent, {"the ", "body"}, announced).answer(), "the body");
  }
  wasm_.SetHandler(ExecutorDies);
  pool_.SetBusy(1);
  EXPECT_EQ(Post(Deploy(3), {"body"}, true).status(), 502);
}

TEST_F(RouterTest, ABodyCollectedForWasmReachesTheContainerWhole) {
  const auto function = Deploy(kIdempotent);
  wasm_.SetHandler([this](const WasmInvocation& invocation) {
    pool_.SetFree(1);
    return ExecutorDies(invocation);
  });
  EXPECT_EQ(Post(function, {std::string(100'000, 'a'), "b"}, false).answer(),
            std::string(100'000, 'a') + "b");
}

TEST_F(RouterTest, ABodyOfWhichTooMuchIsGoneIsNotSentAgain) {
  const auto function = Deploy(kIdempotent);
  pool_.SetFree(1);
  pool_.SetForwarder(DiesAtTheEnd);
  const MemoryExchange& exchange =
      Post(function, {std::string(ReplayableExchange::kMaxKeptBytes, 'a'), "b"}, true);
  EXPECT_EQ(exchange.status(), 502);
  EXPECT_EQ(wasm_.invocations(), 0u);
}

TEST_F(RouterTest, AnUnreadRestOfABodyIsNoHindrance) {
  const auto function = Deploy(kIdempotent);
  pool_.SetFree(1);
  pool_.SetForwarder([](Exchange& exchange, FakePool::AddHeaders) -> Awaitable<ForwardResult> {
    CO_TRY(co_await exchange.ReadBody());
    co_return Fail(Code::kBackendDied, "the container died");
  });
  const MemoryExchange& exchange = Post(function, {"read", std::string(100'000, 'b')}, true);
  EXPECT_EQ(exchange.answer(), "read" + std::string(100'000, 'b'));
}

TEST_F(RouterTest, AFunctionThatKillsBothItsBackendsIsAnswered502AfterTwoRuns) {
  const auto function = Deploy(kIdempotent);
  pool_.SetFree(1);
  pool_.SetForwarder(Dies);
  wasm_.SetHandler(ExecutorDies);
  const MemoryExchange& exchange = Call(function);
  EXPECT_EQ(exchange.status(), 502);
  EXPECT_THAT(exchange.answer(), HasSubstr("the container closed the connection"));
  EXPECT_THAT(exchange.answer(), HasSubstr("run again, on wasm: the executor died"));
  EXPECT_EQ(pool_.forwarded(), 1u);
  EXPECT_EQ(wasm_.invocations(), 1u);
}

TEST_F(RouterTest, AFailureOfTheFunctionItselfIsNoDeath) {
  const auto function = Deploy(kIdempotent);
  wasm_.SetHandler([](const WasmInvocation&) -> Result<FakeWasmAnswer> {
    return Fail(Code::kFunctionFailed, "the function trapped");
  });
  EXPECT_EQ(Call(function).status(), 502);
  wasm_.SetHandler([](const WasmInvocation&) -> Result<FakeWasmAnswer> {
    return FakeWasmAnswer{{.status = 503}, "busy"};
  });
  EXPECT_EQ(Call(function).answer(), "busy");
  EXPECT_EQ(pool_.forwarded(), 0u);
}

TEST_F(RouterTest, WhatThePolicyOrTheBuildsForbidIsNotRetried) {
  const auto function = Deploy(kIdempotent);
  wasm_.SetHandler(ExecutorDies);
  EXPECT_EQ(Call(function, "wasm-only").status(), 502);
  pool_.SetFree(1);
  pool_.SetForwarder(Dies);
  EXPECT_EQ(Call(function, "container-only").status(), 502);
  EXPECT_EQ(Call(Deploy([](Deployed& f) { f.module = {}; }, 2)).status(), 502);
  pool_.SetFree(0);
  EXPECT_EQ(Call(Deploy([](Deployed& f) { f.image = {}; }, 3)).status(), 502);
  EXPECT_EQ(Call(Deploy([](Deployed& f) { f.manifest.scale.max_containers = 0; }, 4)).status(),
            502);
  EXPECT_EQ(pool_.forwarded(), 2u);
  EXPECT_THAT(metrics_.Serialize(), Not(HasSubstr("retries_total{")));
}

TEST_F(RouterTest, ARetryHasWhatIsLeftOfTheRunTimeout) {
  const auto function =
      Deploy([](Deployed& f) { f.manifest.limits.run_timeout = milliseconds(100); });
  pool_.SetFree(1);
  pool_.SetForwarder([this](Exchange& exchange, FakePool::AddHeaders add) {
    clock_.Advance(milliseconds(60));
    return Dies(exchange, std::move(add));
  });
  wasm_.Hold();
  const Flight& flight = Start(function);
  Advance(milliseconds(39));
  EXPECT_FALSE(flight.done);
  Advance(milliseconds(1));
  EXPECT_TRUE(flight.done);
  EXPECT_EQ(flight.exchange.status(), 504);
  EXPECT_THAT(flight.exchange.answer(), HasSubstr("nothing is left of limits.run_timeout"));
  EXPECT_EQ(router_.Status(function->manifest.name).wasm_running, 0u);
}

TEST_F(RouterTest, AClientThatLeavesEndsItsRetry) {
  const auto function = Deploy();
  pool_.SetFree(1);
  pool_.SetForwarder(Dies);
  wasm_.Hold();
  Flight& flight = Start(function);
  EXPECT_EQ(router_.Status(function->manifest.name).wasm_running, 1u);
  flight.cancel.emit(asio::cancellation_type::terminal);
  Poll();
  EXPECT_TRUE(flight.done);
  EXPECT_EQ(flight.exchange.status(), 0);
  EXPECT_EQ(router_.Status(function->manifest.name).wasm_running, 0u);
}

TEST_F(RouterTest, WhatDiesAfterItsClientHasLeftIsNotRunAgain) {
  const auto function = Deploy();
  pool_.SetFree(1);
  Event client_left(loop_.get_executor());
  pool_.SetForwarder([&client_left](Exchange& exchange, FakePool::AddHeaders add) {
    return DiesAfter(client_left, exchange, std::move(add));
  });
  Flight& flight = Start(function);
  flight.cancel.emit(asio::cancellation_type::terminal);
  Poll();
  EXPECT_TRUE(flight.done);
  EXPECT_EQ(wasm_.invocations(), 0u);
}

TEST_F(RouterTest, WithoutAModuleTheRequestWaitsForAContainer) {
  const auto function = Deploy([](Deployed& f) { f.module = {}; });
  EXPECT_EQ(Call(function).status(), 504);
  pool_.SetFree(1);
  EXPECT_EQ(Call(function).status(), 200);
}

TEST_F(RouterTest, IdleCodeIsUnloadedAfterKeepAliveAndNotBefore) {
  const auto function = Deploy([](Deployed& f) { f.manifest.scale.keep_alive = seconds(60); });
  Call(function);
  EXPECT_TRUE(router_.Status(function->manifest.name).wasm_loaded);
  Advance(seconds(59));
  EXPECT_THAT(wasm_.unloaded(), IsEmpty());
  Advance(seconds(1));
  EXPECT_FALSE(router_.Status(function->manifest.name).wasm_loaded);
  // Nothing is loaded: the sweep has stopped, and an idle node has no timer.
  EXPECT_EQ(clock_.Next(), Clock::TimePoint::max());
}

TEST_F(RouterTest, CodeOfARunningGuestStays) {
  const auto function = Deploy([](Deployed& f) { f.manifest.scale.keep_alive = seconds(1); });
  wasm_.Hold();
  Start(function);
  Advance(seconds(100));
  EXPECT_THAT(wasm_.unloaded(), IsEmpty());
  wasm_.ReleaseAll();
  Poll();
}

TEST_F(RouterTest, ADeployRetiresOldContainersAndUnloadsOldCodeAfterItsLastRequest) {
  const auto before = Deploy(1);
  wasm_.Hold();
  const Flight& in_flight = Start(before);
  const auto after = Deploy(2);
  EXPECT_EQ(router_.Find(after->manifest.name), after);
  EXPECT_THAT(pool_.retired(), ElementsAre(RevisionId{1}));
  EXPECT_THAT(wasm_.unloaded(), IsEmpty());
  wasm_.ReleaseAll();
  Poll();
  EXPECT_EQ(in_flight.exchange.status(), 200);
  EXPECT_EQ(wasm_.unloaded().size(), 1u);
  EXPECT_FALSE(wasm_.IsLoaded(*before));
}

TEST_F(RouterTest, ADeployOfTheSameModuleKeepsItsCode) {
  Call(Deploy(1));
  Deploy([](Deployed& f) { f.module = Digest{"module-hello-1"}; }, 2);
  EXPECT_THAT(wasm_.unloaded(), IsEmpty());
  // And it still goes away when nobody calls it.
  Advance(seconds(61));
  EXPECT_EQ(wasm_.unloaded().size(), 1u);
}

TEST_F(RouterTest, MinWarmIsKeptWarmFromTheDeployOn) {
  Deploy([](Deployed& f) { f.manifest.scale.min_warm = 1; });
  EXPECT_THAT(pool_.kept_warm(), ElementsAre(RevisionId{1}));
}

TEST_F(RouterTest, ARemovedFunctionFinishesItsRequestsAndLeavesNothing) {
  const auto function = Deploy([](Deployed& f) { f.manifest.limits.concurrency = 1; });
  Call(function);
  wasm_.Hold();
  const Flight& running = Start(function);
  const Flight& queued = Start(function);
  router_.Remove(function->manifest.name);
  EXPECT_EQ(router_.Find(function->manifest.name), nullptr);
  wasm_.ReleaseAll();
  Poll();
  EXPECT_EQ(running.exchange.status(), 200);
  EXPECT_EQ(queued.exchange.status(), 200);
  EXPECT_FALSE(wasm_.IsLoaded(*function));
  EXPECT_THAT(pool_.retired(), ElementsAre(RevisionId{1}));
  EXPECT_THAT(metrics_.Serialize(), Not(HasSubstr("function=\"hello\"")));
}

TEST_F(RouterTest, ARequestToAFunctionRemovedMeanwhileStillFinishes) {
  const auto function = Deploy();
  router_.Remove(function->manifest.name);
  EXPECT_EQ(Call(function).status(), 200);
}

TEST_F(RouterTest, HostsFollowTheLiveRevision) {
  Deploy([](Deployed& f) { f.manifest.hosts = {"a.example", "b.example"}; }, 1);
  const auto after = Deploy([](Deployed& f) { f.manifest.hosts = {"b.example"}; }, 2);
  EXPECT_EQ(router_.FindByHost("a.example"), nullptr);
  EXPECT_EQ(router_.FindByHost("b.example"), after);
  router_.Remove(after->manifest.name);
  EXPECT_FALSE(router_.HasHosts());
}

TEST_F(RouterTest, LevelsOfSlotsAndContainersAreReported) {
  const auto function = Deploy();
  pool_.SetBusy(3);
  wasm_.Hold();
  for (uint32_t i = 0; i < kWasmSlots + 1; ++i) Start(function);
  const std::string text = metrics_.Serialize();
  EXPECT_THAT(text, HasSubstr("hybridserve_functions 1"));
  EXPECT_THAT(text, HasSubstr("hybridserve_wasm_running 2"));
  EXPECT_THAT(text, HasSubstr("hybridserve_queued 1"));
  EXPECT_THAT(text, HasSubstr("hybridserve_container_slots{state=\"busy\"} 3"));
  EXPECT_THAT(text, HasSubstr("hybridserve_containers{state=\"ending\"} 2"));
  EXPECT_THAT(text, HasSubstr("hybridserve_memory_bytes{part=\"containers\"} 12345"));
  wasm_.ReleaseAll();
  Poll();
}

TEST(ErrorAnswer, QuotesBytesThatAreNoUtf8Safely) {
  const ErrorAnswer answer = MakeErrorAnswer({Code::kFunctionFailed, "line \"\xff\n\""});
  EXPECT_EQ(answer.head.status, 502);
  EXPECT_THAT(answer.body, HasSubstr("line \\\"\xEF\xBF\xBD\\n\\\""));
}

}  // namespace
}  // namespace hybridserve
