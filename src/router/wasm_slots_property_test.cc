// What holds of the Wasm slots whatever happens to them: random events and a clock that is moved by
// hand.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <array>
#include <boost/asio/this_coro.hpp>
#include <list>
#include <memory>
#include <vector>

#include "container/random_steps.h"
#include "container/test_loop.h"
#include "router/wasm_slots.h"

namespace hybridserve {
namespace {

using namespace std::chrono_literals;
using Divert = WasmSlots::Divert;

enum class Kind : uint8_t {
  kTryTake,
  kWait,
  kWaitForEither,
  kRelease,
  kCancel,
  kAdvance,
  kSetLimit,
  kOfferContainers,
};
constexpr int kKinds = 8;

using Step = RandomStep<Kind>;

constexpr size_t kFunctions = 3;

class NoContainer : public ContainerPool::Slot {
 public:
  Awaitable<ForwardResult> Forward(
      Exchange& /*exchange*/,
      std::function<void(ResponseHead&, Microseconds)> /*add_headers*/) override {
    co_return Fail(Code::kInternal, "never forwarded to");
  }
};

class World {
 public:
  explicit World(uint32_t node_slots) : node_slots_(node_slots) {
    for (size_t i = 0; i < kFunctions; ++i) SetLimit(i, static_cast<uint32_t>(1 + i));
  }
  ~World() {
    for (Waiting& one : waiting_) one.task.Cancel();
    loop_.Settle();
  }

  void Do(const Step& step) {
    const size_t function = step.which % kFunctions;
    const std::array<uint32_t, kFunctions> before = Running();
    switch (step.kind) {
      case Kind::kTryTake:
        if (WasmSlots::Slot slot = slots_.TryTake(shares_[function])) {
          RC_ASSERT(shares_[function].waiting() == 0u);
          held_.push_back({function, std::move(slot)});
        }
        break;
      case Kind::kWait:
      case Kind::kWaitForEither:
        Wait(function, std::array{5ms, 100ms, 2000ms}[step.which / kFunctions % 3],
             step.kind == Kind::kWait ? Divert::kForbidden : Divert::kAllowed);
        break;
      case Kind::kRelease:
        if (!held_.empty()) held_.erase(std::next(held_.begin(), step.which % held_.size()));
        break;
      case Kind::kCancel:
        if (!waiting_.empty()) {
          Waiting& one = *std::next(waiting_.begin(), step.which % waiting_.size());
          one.cancelled = true;
          one.task.Cancel();
        }
        break;
      case Kind::kAdvance:
        clock_.Advance(std::array{1ms, 10ms, 300ms, 4000ms}[step.which % 4]);
        break;
      case Kind::kSetLimit:
        SetLimit(function, 1 + step.which / kFunctions % 4);
        break;
      case Kind::kOfferContainers: {
        uint32_t left = step.which / kFunctions % 3;
        slots_.OfferContainers(shares_[function], [&left]() -> std::unique_ptr<ContainerPool::Slot> {
          if (left == 0) return nullptr;
          --left;
          return std::make_unique<NoContainer>();
        });
        break;
      }
    }
    loop_.Settle();
    Collect();
    Check(before);
  }

  // Every slot is given back, one after the other: whoever waits gets its turn, without the time
  // moving, and then nothing is left.
  void CheckThatAllGetTheirTurn() {
    while (!held_.empty()) {
      const std::array<uint32_t, kFunctions> before = Running();
      held_.pop_front();
      loop_.Settle();
      Collect();
      Check(before);
    }
    RC_ASSERT(waiting_.empty());
    RC_ASSERT(slots_.running() == 0u && slots_.waiting() == 0u);
    RC_ASSERT(clock_.Next() == Clock::TimePoint::max());
  }

 private:
  struct Held {
    size_t function;
    WasmSlots::Slot slot;
  };
  struct Waiting {
    size_t function;
    Divert divert;
    Clock::TimePoint deadline;
    TestLoop::Task<Result<WasmSlots::Ticket>> task;
    bool cancelled = false;
  };

  static Awaitable<WasmSlots::Ticket> Run(WasmSlots& slots, WasmSlots::Share& share,
                                          std::chrono::milliseconds timeout, Divert divert) {
    co_await boost::asio::this_coro::throw_if_cancelled(false);
    Result<WasmSlots::Ticket> ticket = co_await slots.Wait(share, timeout, divert);
    co_return ticket;
  }

  void Wait(size_t function, std::chrono::milliseconds timeout, Divert divert) {
    waiting_.push_back({function, divert, clock_.Now() + timeout,
                        loop_.Start(Run(slots_, shares_[function], timeout, divert))});
  }

  void SetLimit(size_t function, uint32_t limit) {
    limits_[function] = limit;
    slots_.SetLimit(shares_[function], limit);
  }

  [[nodiscard]] std::array<uint32_t, kFunctions> Running() const {
    std::array<uint32_t, kFunctions> running{};
    for (const Held& held : held_) ++running[held.function];
    return running;
  }

  void Collect() {
    std::array<bool, kFunctions> still_waits{};
    for (auto one = waiting_.begin(); one != waiting_.end();) {
      if (!one->task.done()) {
        RC_ASSERT(clock_.Now() < one->deadline && !one->cancelled);
        still_waits[one->function] = true;
        ++one;
        continue;
      }
      Take(*one, still_waits[one->function]);
      one = waiting_.erase(one);
    }
  }

  // The end of one wait: one slot, or a reason.
  void Take(Waiting& one, bool an_older_one_waits) {
    Result<WasmSlots::Ticket>& ticket = one.task.result();
    if (!ticket) {
      const Code code = ticket.error().code;
      RC_ASSERT(code == (one.cancelled ? Code::kCancelled : Code::kTimeout));
      RC_ASSERT(one.cancelled || clock_.Now() >= one.deadline);
      return;
    }
    RC_ASSERT(static_cast<bool>(ticket->wasm) != (ticket->container != nullptr));
    if (ticket->container) {
      RC_ASSERT(one.divert == Divert::kAllowed);
      return;
    }
    RC_ASSERT(!an_older_one_waits);
    held_.push_back({one.function, std::move(ticket->wasm)});
  }

  void Check(const std::array<uint32_t, kFunctions>& before) {
    const std::array<uint32_t, kFunctions> running = Running();
    const auto all = static_cast<uint32_t>(held_.size());
    RC_ASSERT(all <= node_slots_);
    RC_ASSERT(slots_.running() == all);
    RC_ASSERT(slots_.waiting() == waiting_.size());
    for (size_t i = 0; i < kFunctions; ++i) {
      const uint32_t waiting = shares_[i].waiting();
      RC_ASSERT(waiting == std::count_if(waiting_.begin(), waiting_.end(),
                                         [i](const Waiting& one) { return one.function == i; }));
      RC_ASSERT(shares_[i].running() == running[i]);
      // Its limit may have come down under what runs; nothing more starts then.
      RC_ASSERT(running[i] <= std::max(limits_[i], before[i]));
      // Nobody waits for a slot that it could have.
      const bool may_run = running[i] < limits_[i] && running[i] < 3 * (node_slots_ - all);
      RC_ASSERT(waiting == 0u || !may_run);
    }
  }

  const uint32_t node_slots_;
  TestLoop loop_;
  ManualClock clock_;
  std::array<WasmSlots::Share, kFunctions> shares_;
  std::array<uint32_t, kFunctions> limits_{};
  WasmSlots slots_{loop_.executor(), clock_, [this] { return node_slots_; }};
  std::list<Held> held_;
  std::list<Waiting> waiting_;  // In the order in which they came.
};

RC_GTEST_PROP(WasmSlotsProperty, NoSlotIsLostAndNobodyWaitsForAFreeOneWhateverHappens, ()) {
  World world(*rc::gen::inRange<uint32_t>(1, 7));
  for (const Step& one : *RandomSteps<Kind>(kKinds)) world.Do(one);
  world.CheckThatAllGetTheirTurn();
}

}  // namespace
}  // namespace hybridserve
