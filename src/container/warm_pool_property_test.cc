// What holds of the pool whatever happens to it: random events against the fake runtime and a clock
// that is moved by hand.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <array>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "container/fake/fake_runtime.h"
#include "container/random_steps.h"
#include "container/test_loop.h"
#include "container/warm_pool.h"

namespace hybridserve {
namespace {

using namespace std::chrono_literals;
using SlotPtr = std::unique_ptr<ContainerPool::Slot>;

enum class Kind : uint8_t {
  kPrepare,
  kTryAcquire,
  kAcquire,
  kRelease,
  kCancel,
  kExit,
  kStopListening,
  kAdvance,
  kDeploy,
  kKeepWarm,
  kChangeProgram,
  kChangeDestroy,
  kChangeFreezing,
};
constexpr int kKinds = 13;

using Step = RandomStep<Kind>;

constexpr size_t kFunctions = 3;

class World {
 public:
  explicit World(PoolOptions options) : options_(options) {
    runtime_.create_time = 3ms;
    runtime_.destroy_time = 7ms;
    runtime_.freeze_time = 4ms;
    runtime_.thaw_time = 2ms;
    runtime_.program = [this](const ContainerSpec&) { return program_; };
    PoolEvents events;
    events.slot_freed = [](const Deployed&) {};
    WarmPoolParts parts;
    parts.clock = &clock_;
    pool_ = std::make_unique<WarmPool>(loop_.executor(), runtime_, options, events, parts);
    for (size_t i = 0; i < kFunctions; ++i) live_[i] = Make(i, 1);
  }

  void Do(const Step& step) {
    const DeployedPtr& function = live_[step.which % kFunctions];
    switch (step.kind) {
      case Kind::kPrepare:
        pool_->Prepare(function);
        break;
      case Kind::kTryAcquire:
        if (SlotPtr slot = pool_->TryAcquire(function)) slots_.push_back(std::move(slot));
        break;
      case Kind::kAcquire:
        waiting_.push_back({function, loop_.Start(pool_->Acquire(function))});
        break;
      case Kind::kRelease:
        if (!slots_.empty()) slots_.erase(slots_.begin() + step.which % slots_.size());
        break;
      case Kind::kCancel:
        if (!waiting_.empty()) {
          std::next(waiting_.begin(), step.which % waiting_.size())->task.Cancel();
        }
        break;
      case Kind::kExit:
      case Kind::kStopListening:
        if (const auto ids = runtime_.ids(); !ids.empty()) {
          const ContainerId id = ids[step.which % ids.size()];
          if (step.kind == Kind::kStopListening) {
            runtime_.StopListening(id);
          } else {
            exited_ = true;
            runtime_.Exit(id, 137, step.which % 2 == 0);
          }
        }
        break;
      case Kind::kAdvance:
        Advance(std::array{1ms, 10ms, 300ms, 4000ms}[step.which % 4]);
        break;
      case Kind::kDeploy: {
        const DeployedPtr old = function;
        live_[step.which % kFunctions] = Make(step.which % kFunctions, old->revision.value + 1);
        pool_->Retire(old);
        break;
      }
      case Kind::kKeepWarm:
        pool_->KeepWarm(function);
        break;
      case Kind::kChangeProgram:
        ChooseProgram(step.which % kPrograms, runtime_, program_);
        break;
      case Kind::kChangeDestroy:
        runtime_.destroy_error.reset();
        if (step.which % 2 == 0) runtime_.destroy_error = Error{Code::kInternal, "busy"};
        break;
      case Kind::kChangeFreezing:
        runtime_.freeze_error.reset();
        runtime_.thaw_error.reset();
        if (step.which % 4 == 0) runtime_.freeze_error = Error{Code::kTimeout, "it did not stop"};
        if (step.which % 4 == 1) {
          exited_ = true;  // One with slots that cannot be thawed ends.
          runtime_.thaw_error = Error{Code::kInternal, "it is stuck"};
        }
        break;
    }
    loop_.Settle();
    Collect();
    Check();
  }

  // The server has come back: containers of live revisions, of older ones and of functions that are
  // gone have outlived it.
  void Adopt(const std::vector<uint32_t>& survivors) {
    for (const uint32_t which : survivors) {
      ContainerSpec spec = SpecFromManifest(*live_[which % kFunctions]);
      static constexpr std::array kRevisions{"@1", "@0", "-gone@1"};
      spec.sandbox.label = live_[which % kFunctions]->manifest.name.value +
                           kRevisions[which / kFunctions % kRevisions.size()];
      const ContainerId id = runtime_.AddSurvivor(spec);
      if (which % 7 == 0) runtime_.StopListening(id);
    }
    most_alive_ = std::max<size_t>(options_.max_containers, survivors.size());
    const auto resolve = [this](std::string_view label) -> DeployedPtr {
      for (const DeployedPtr& function : live_) {
        if (ContainerLabel(*function) == label) return function;
      }
      return nullptr;
    };
    const auto adopted = loop_.Start(pool_->Adopt(resolve));
    // Until those that it had no room for, or that did not listen, are gone.
    PassTime(1500ms, clock_, loop_, [] {});
    RC_ASSERT(adopted.done());
    for (const ContainerId id : runtime_.ids()) {
      RC_ASSERT(resolve(runtime_.Spec(id)->sandbox.label) != nullptr);
    }
    Check();
  }

  // Everything is let go: after every timeout and keep_alive nothing may be left.
  void CheckThatItScalesToZero() {
    slots_.clear();
    for (const DeployedPtr& function : live_) pool_->Retire(function);
    for (int i = 0; i < 40 && !IsEmpty(); ++i) {
      Advance(500ms);
      Collect();
      slots_.clear();
    }
    RC_ASSERT(waiting_.empty());
    RC_ASSERT(runtime_.alive() == 0u);
    const PoolView view = pool_->LookAtNode();
    RC_ASSERT(view.ready == 0u && view.starting == 0u && view.busy_slots == 0u);
    Advance(500ms);  // Removals that failed have been tried again.
    RC_ASSERT(clock_.Next() == Clock::TimePoint::max());
  }

  // The same without a retirement: keep_alive alone.
  void CheckThatIdleContainersExpire() {
    slots_.clear();
    for (const DeployedPtr& function : live_) {
      if (function->manifest.scale.min_warm > 0) pool_->Retire(function);
    }
    program_ = {};
    for (int i = 0; i < 60 && !IsEmpty(); ++i) {
      Advance(500ms);
      Collect();
      slots_.clear();
    }
    RC_ASSERT(waiting_.empty());
    RC_ASSERT(runtime_.alive() == 0u);
  }

 private:
  struct Waiting {
    DeployedPtr function;
    TestLoop::Task<Result<SlotPtr>> task;
  };

  static DeployedPtr Make(size_t index, int64_t revision) {
    auto function = std::make_shared<Deployed>();
    function->manifest.name.value = std::string(1, static_cast<char>('a' + index));
    function->manifest.scale.max_containers = static_cast<uint32_t>(1 + index);
    function->manifest.scale.slots = static_cast<uint32_t>(3 - index);
    function->manifest.scale.min_warm = index == 2 ? 1 : 0;
    function->manifest.scale.keep_alive = 2s;
    function->manifest.scale.freeze_after = std::array{0ms, 300ms, 5ms}[index];
    function->manifest.limits.memory_bytes = (1 + index) << 20;
    function->manifest.limits.queue_timeout = 1s;
    function->manifest.limits.start_timeout = 1500ms;
    function->revision.value = revision;
    function->image.value = std::string(64, 'a');
    return function;
  }

  void Advance(std::chrono::steady_clock::duration by) {
    PassTime(by, clock_, loop_, [this] { CheckMemory(); });
  }

  void CheckMemory() const {
    if (options_.memory_bytes == 0) return;
    uint64_t bytes = 0;
    for (const ContainerId id : runtime_.ids()) {
      bytes += runtime_.Spec(id)->sandbox.memory_bytes;  // 0 until it is started.
    }
    RC_ASSERT(bytes <= options_.memory_bytes);
  }

  [[nodiscard]] bool IsEmpty() const {
    return waiting_.empty() && runtime_.alive() == 0 && pool_->LookAtNode().starting == 0;
  }

  void Collect() {
    for (auto waiting = waiting_.begin(); waiting != waiting_.end();) {
      if (!waiting->task.done()) {
        ++waiting;
        continue;
      }
      if (Result<SlotPtr>& slot = waiting->task.result()) slots_.push_back(std::move(*slot));
      waiting = waiting_.erase(waiting);
    }
  }

  void Check() {
    RC_ASSERT(runtime_.most_alive() <= most_alive_);
    RC_ASSERT(runtime_.alive() <= options_.max_containers);
    CheckMemory();
    const PoolView node = pool_->LookAtNode();
    RC_ASSERT(node.ready + node.starting <= options_.max_containers);
    // Slots of containers that have died are no longer counted; no other may be missing.
    RC_ASSERT(node.busy_slots <= slots_.size());
    RC_ASSERT(exited_ || node.busy_slots == slots_.size());
    for (const DeployedPtr& function : live_) {
      const PoolView view = pool_->Look(*function);
      RC_ASSERT(view.starting <= 1u);
      RC_ASSERT(view.ready + view.starting <= function->manifest.scale.max_containers);
      RC_ASSERT(view.frozen <= view.ready);
      RC_ASSERT(view.busy_slots + view.free_slots <= view.ready * function->manifest.scale.slots);
      const bool waits =
          std::any_of(waiting_.begin(), waiting_.end(),
                      [&function](const Waiting& one) { return one.function == function; });
      RC_ASSERT(!waits || view.free_slots == 0u);
    }
  }

  const PoolOptions options_;
  TestLoop loop_;
  ManualClock clock_;
  FakeRuntime runtime_{loop_.executor(), clock_};
  FakeProgram program_;
  std::array<DeployedPtr, kFunctions> live_;
  std::unique_ptr<WarmPool> pool_;
  std::vector<SlotPtr> slots_;
  std::list<Waiting> waiting_;
  size_t most_alive_ = options_.max_containers;  // Ever, those that survived the server included.
  bool exited_ = false;                          // A container that may have had slots.
};

RC_GTEST_PROP(WarmPoolProperty, LosesNoSlotAndKeepsItsLimitsWhateverHappens, ()) {
  World world(RandomPoolOptions());
  for (const Step& step : *RandomSteps<Kind>(kKinds)) world.Do(step);
  world.CheckThatItScalesToZero();
}

RC_GTEST_PROP(WarmPoolProperty, AdoptsNoMoreThanItMayHave, ()) {
  World world(RandomPoolOptions());
  world.Adopt(*rc::gen::resize(12, rc::gen::container<std::vector<uint32_t>>(
                                       rc::gen::inRange<uint32_t>(0, 60))));
  for (const Step& step : *RandomSteps<Kind>(kKinds)) world.Do(step);
  world.CheckThatItScalesToZero();
}

RC_GTEST_PROP(WarmPoolProperty, ScalesToZeroByKeepAliveAlone, ()) {
  World world(RandomPoolOptions());
  for (const Step& step : *RandomSteps<Kind>(kKinds)) world.Do(step);
  world.CheckThatIdleContainersExpire();
}

}  // namespace
}  // namespace hybridserve
