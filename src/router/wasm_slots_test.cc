#include "router/wasm_slots.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/this_coro.hpp>
#include <deque>
#include <list>

namespace hybridserve {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;
using testing::ElementsAre;

constexpr milliseconds kLong{60000};

class WasmSlotsTest : public testing::Test {
 protected:
  void TearDown() override {
    for (Request& request : requests_) request.cancel.emit(asio::cancellation_type::terminal);
    Poll();
    requests_.clear();
    EXPECT_EQ(slots_.waiting(), 0u);
    EXPECT_EQ(slots_.running(), 0u);
  }

  // A request that waits; what it got is kept until Finish.
  struct Request {
    std::optional<Result<WasmSlots::Ticket>> got;
    asio::cancellation_signal cancel;
  };

  static asio::awaitable<void> Run(WasmSlots& slots, WasmSlots::Share& share, Request& request,
                                   milliseconds timeout, WasmSlots::Divert divert) {
    co_await asio::this_coro::throw_if_cancelled(false);
    Result<WasmSlots::Ticket> ticket = co_await slots.Wait(share, timeout, divert);
    request.got.emplace(std::move(ticket));
  }

  Request& Wait(WasmSlots::Share& share, milliseconds timeout = kLong,
                WasmSlots::Divert divert = WasmSlots::Divert::kForbidden) {
    Request& request = requests_.emplace_back();
    asio::co_spawn(loop_, Run(slots_, share, request, timeout, divert),
                   asio::bind_cancellation_slot(request.cancel.slot(), [](std::exception_ptr) {}));
    Poll();
    return request;
  }

  void Poll() {
    loop_.restart();
    loop_.poll();
  }

  static bool HasSlot(const Request& request) {
    return request.got && request.got->has_value() && request.got->value().wasm;
  }

  // Ends the guest of a request that was granted.
  void Finish(Request& request) {
    request.got.reset();
    Poll();
  }

  asio::io_context loop_;
  ManualClock clock_;
  uint32_t node_slots_ = 2;
  WasmSlots::Share a_;
  WasmSlots::Share b_;
  WasmSlots slots_{loop_.get_executor(), clock_, [this] { return node_slots_; }};
  std::list<Request> requests_;
};

TEST_F(WasmSlotsTest, AFunctionRunsNoMoreThanItsLimit) {
  slots_.SetLimit(a_, 1);
  const auto first = slots_.TryTake(a_);
  EXPECT_TRUE(first);
  EXPECT_FALSE(slots_.TryTake(a_));
  EXPECT_EQ(a_.running(), 1u);
}

TEST_F(WasmSlotsTest, TheNodeRunsNoMoreThanItsSlots) {
  slots_.SetLimit(a_, 10);
  slots_.SetLimit(b_, 10);
  auto first = slots_.TryTake(a_);
  const auto second = slots_.TryTake(b_);
  EXPECT_FALSE(slots_.TryTake(b_));
  first.Release();
  EXPECT_TRUE(slots_.TryTake(b_));
}

TEST_F(WasmSlotsTest, ASlotIsGivenBackOnceAlthoughMoved) {
  slots_.SetLimit(a_, 1);
  auto first = slots_.TryTake(a_);
  WasmSlots::Slot moved = std::move(first);
  first.Release();
  EXPECT_EQ(slots_.running(), 1u);
  moved.Release();
  moved.Release();
  EXPECT_EQ(slots_.running(), 0u);
}

TEST_F(WasmSlotsTest, WaitersOfOneFunctionGoInOrder) {
  slots_.SetLimit(a_, 1);
  auto running = slots_.TryTake(a_);
  Request& first = Wait(a_);
  Request& second = Wait(a_);
  EXPECT_EQ(slots_.waiting(), 2u);
  running.Release();
  Poll();
  EXPECT_TRUE(HasSlot(first));
  EXPECT_FALSE(HasSlot(second));
  Finish(first);
  EXPECT_TRUE(HasSlot(second));
}

TEST_F(WasmSlotsTest, NobodyOvertakesThoseWhoWait) {
  slots_.SetLimit(a_, 1);
  auto running = slots_.TryTake(a_);
  Wait(a_);
  running.Release();
  EXPECT_FALSE(slots_.TryTake(a_));
}

TEST_F(WasmSlotsTest, FreeSlotsGoRoundRobinOverTheFunctionsThatWait) {
  node_slots_ = 1;
  slots_.SetLimit(a_, 10);
  slots_.SetLimit(b_, 10);
  auto running = slots_.TryTake(a_);
  std::vector<std::pair<std::string, Request*>> waiting;
  for (int i = 0; i < 3; ++i) waiting.emplace_back("a", &Wait(a_));
  for (int i = 0; i < 2; ++i) waiting.emplace_back("b", &Wait(b_));
  running.Release();
  std::vector<std::string> order;
  for (int round = 0; round < 5; ++round) {
    Poll();
    for (auto& [name, request] : waiting) {
      if (!HasSlot(*request)) continue;
      order.push_back(name);
      Finish(*request);
      break;
    }
  }
  EXPECT_THAT(order, ElementsAre("a", "b", "a", "b", "a"));
}

TEST_F(WasmSlotsTest, AFunctionAtItsLimitDoesNotBlockTheOthers) {
  slots_.SetLimit(a_, 1);
  slots_.SetLimit(b_, 1);
  node_slots_ = 2;
  auto a_runs = slots_.TryTake(a_);
  auto b_runs = slots_.TryTake(b_);
  Request& a_waits = Wait(a_);
  Request& b_waits = Wait(b_);
  b_runs.Release();
  Poll();
  EXPECT_FALSE(HasSlot(a_waits));
  EXPECT_TRUE(HasSlot(b_waits));
}

// As many guests of one function as there may be.
std::vector<WasmSlots::Slot> TakeAll(WasmSlots& slots, WasmSlots::Share& share) {
  std::vector<WasmSlots::Slot> taken;
  while (WasmSlots::Slot slot = slots.TryTake(share)) taken.push_back(std::move(slot));
  return taken;
}

TEST_F(WasmSlotsTest, NoFunctionHoldsEverySlot) {
  node_slots_ = 32;
  WasmSlots::Share c;
  for (WasmSlots::Share* share : {&a_, &b_, &c}) slots_.SetLimit(*share, 100);
  const auto of_a = TakeAll(slots_, a_);
  EXPECT_EQ(of_a.size(), 24u);
  const auto of_b = TakeAll(slots_, b_);
  EXPECT_EQ(of_b.size(), 6u);
  EXPECT_TRUE(slots_.TryTake(c));
}

TEST_F(WasmSlotsTest, OneThatHoldsTooManyIsPassedOver) {
  node_slots_ = 8;
  slots_.SetLimit(a_, 100);
  slots_.SetLimit(b_, 100);
  auto of_a = TakeAll(slots_, a_);
  EXPECT_EQ(of_a.size(), 6u);
  Request& a_waits = Wait(a_);
  Request& b_waits = Wait(b_);
  EXPECT_FALSE(HasSlot(a_waits));
  EXPECT_TRUE(HasSlot(b_waits));
  of_a.resize(3);
  Poll();
  EXPECT_TRUE(HasSlot(a_waits));
}

TEST_F(WasmSlotsTest, ARaisedLimitLetsWaitersGo) {
  slots_.SetLimit(a_, 1);
  const auto running = slots_.TryTake(a_);
  Request& waits = Wait(a_);
  slots_.SetLimit(a_, 2);
  Poll();
  EXPECT_TRUE(HasSlot(waits));
}

TEST_F(WasmSlotsTest, TheQueueTimeoutEndsTheWait) {
  slots_.SetLimit(a_, 1);
  const auto running = slots_.TryTake(a_);
  Request& waits = Wait(a_, milliseconds(5));
  clock_.Advance(milliseconds(5));
  Poll();
  ASSERT_TRUE(waits.got && !waits.got->has_value());
  EXPECT_EQ(waits.got->error().code, Code::kTimeout);
  EXPECT_NE(waits.got->error().message.find("queue timeout"), std::string::npos);
  EXPECT_EQ(slots_.waiting(), 0u);
}

TEST_F(WasmSlotsTest, ACancelledWaiterLeavesItsPlace) {
  slots_.SetLimit(a_, 1);
  auto running = slots_.TryTake(a_);
  Request& first = Wait(a_);
  Request& second = Wait(a_);
  first.cancel.emit(asio::cancellation_type::terminal);
  Poll();
  EXPECT_EQ(first.got->error().code, Code::kCancelled);
  running.Release();
  Poll();
  EXPECT_TRUE(HasSlot(second));
}

TEST_F(WasmSlotsTest, ASlotGrantedToACancelledWaiterIsNotLost) {
  slots_.SetLimit(a_, 1);
  auto running = slots_.TryTake(a_);
  Request& waits = Wait(a_);
  waits.cancel.emit(asio::cancellation_type::terminal);
  running.Release();  // Granted before the waiter could notice.
  Poll();
  EXPECT_EQ(waits.got->error().code, Code::kCancelled);
  EXPECT_EQ(slots_.running(), 0u);
  EXPECT_TRUE(slots_.TryTake(a_));
}

TEST_F(WasmSlotsTest, AWaiterDestroyedWithItsLoopLeavesItsPlace) {
  auto loop = std::make_unique<asio::io_context>();
  ManualClock clock;
  WasmSlots slots(loop->get_executor(), clock, [] { return 1u; });
  WasmSlots::Share share;
  slots.SetLimit(share, 1);
  const auto running = slots.TryTake(share);
  Request request;
  asio::co_spawn(*loop, Run(slots, share, request, kLong, WasmSlots::Divert::kForbidden),
                 [](std::exception_ptr) {});
  loop->poll();
  EXPECT_EQ(slots.waiting(), 1u);
  loop.reset();
  EXPECT_EQ(slots.waiting(), 0u);
}

class NamedSlot : public ContainerPool::Slot {
 public:
  Awaitable<ForwardResult> Forward(Exchange& /*exchange*/,
                                   std::function<void(ResponseHead&, Microseconds)>) override {
    co_return ForwardResult{};
  }
};

TEST_F(WasmSlotsTest, AFreedContainerTakesTheOldestThatMayBeDiverted) {
  slots_.SetLimit(a_, 1);
  const auto running = slots_.TryTake(a_);
  Request& wasm_only = Wait(a_, kLong, WasmSlots::Divert::kForbidden);
  Request& first = Wait(a_, kLong, WasmSlots::Divert::kAllowed);
  Request& second = Wait(a_, kLong, WasmSlots::Divert::kAllowed);
  int offered = 1;
  slots_.OfferContainers(a_, [&offered]() -> std::unique_ptr<ContainerPool::Slot> {
    return offered-- > 0 ? std::make_unique<NamedSlot>() : nullptr;
  });
  Poll();
  EXPECT_FALSE(wasm_only.got);
  EXPECT_FALSE(second.got);
  ASSERT_TRUE(first.got && first.got->has_value());
  EXPECT_TRUE(first.got->value().container);
  EXPECT_EQ(slots_.waiting(), 2u);
}

}  // namespace
}  // namespace hybridserve
