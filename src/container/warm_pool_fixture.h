// What the tests of the pool share: a pool over the fake runtime, with a clock that is moved by hand.
//
// Thread rule: test code, one thread.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "container/fake/fake_exchange.h"
#include "container/fake/fake_runtime.h"
#include "container/test_loop.h"
#include "container/warm_pool.h"

namespace hybridserve {

using SlotPtr = std::unique_ptr<ContainerPool::Slot>;

// A function whose manifest the test may change before it is used.
inline std::shared_ptr<Deployed> Function(const std::string& name, int64_t revision = 1) {
  auto function = std::make_shared<Deployed>();
  function->manifest.name.value = name;
  function->manifest.container.emplace();
  function->manifest.scale.max_containers = 2;
  function->manifest.scale.slots = 2;
  function->revision.value = revision;
  function->image.value = std::string(64, 'a');
  return function;
}

// What serves a container's outbound connections: only that it lives is of interest.
class CountedService : public NetworkService {
 public:
  CountedService(UniqueFd listener, int& alive) : listener_(std::move(listener)), alive_(alive) {
    alive_ += listener_ ? 1 : 0;
  }
  ~CountedService() override { --alive_; }
  CountedService(const CountedService&) = delete;
  CountedService& operator=(const CountedService&) = delete;

 private:
  UniqueFd listener_;
  int& alive_;
};

class WarmPoolTest : public testing::Test {
 protected:
  WarmPool& Pool() {
    if (!pool_) {
      PoolEvents events;
      events.booted = [this](const Deployed& function, std::string_view outcome, Microseconds) {
        boots_.push_back(function.manifest.name.value + " " + std::string(outcome));
      };
      events.slot_freed = [this](const Deployed&) { ++slots_freed_; };
      events.thawed = [this](const Deployed&, Microseconds) { ++thaws_; };
      events.log_line = [this](const Deployed&, std::string_view line) {
        lines_.emplace_back(line);
      };
      WarmPoolParts parts;
      parts.clock = &clock_;
      parts.network = [this](UniqueFd listener, const DeployedPtr&) {
        return std::make_unique<CountedService>(std::move(listener), services_);
      };
      pool_ = std::make_unique<WarmPool>(loop_.executor(), runtime_, options_, events, parts);
    }
    return *pool_;
  }
  void Advance(Clock::TimePoint::duration by) {
    // In steps, as time passes: what a call adds may be due within `by`.
    for (auto left = by; left > left.zero();) {
      const auto step = std::min<Clock::TimePoint::duration>(left, std::chrono::milliseconds(50));
      clock_.Advance(step);
      loop_.Settle();
      left -= step;
    }
  }
  // Starts a container and waits until it is ready.
  void Warm(const DeployedPtr& function) {
    const uint32_t ready = Pool().Look(*function).ready;
    EXPECT_TRUE(Pool().Prepare(function));
    loop_.Settle();
    for (int i = 0; i < 100 && Pool().Look(*function).ready == ready; ++i) Advance(std::chrono::milliseconds(10));
    ASSERT_EQ(Pool().Look(*function).ready, ready + 1);
  }
  TestLoop::Task<Result<SlotPtr>> Acquire(const DeployedPtr& function) {
    return loop_.Start(Pool().Acquire(function));
  }
  Result<ForwardResult> Forward(ContainerPool::Slot& slot, FakeExchange& exchange) {
    return loop_.Run(slot.Forward(exchange, nullptr));
  }

  TestLoop loop_;
  ManualClock clock_;
  FakeRuntime runtime_{loop_.executor(), clock_};
  PoolOptions options_;
  std::vector<std::string> boots_;
  std::vector<std::string> lines_;
  int slots_freed_ = 0;
  int thaws_ = 0;
  int services_ = 0;  // That are alive.
  std::unique_ptr<WarmPool> pool_;
};

}  // namespace hybridserve
