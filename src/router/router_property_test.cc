// What holds of the router whatever happens around it: random events against the real pool over the
// fake runtime, the fake Wasm backend, and a clock that is moved by hand.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "container/event.h"
#include "container/fake/fake_runtime.h"
#include "container/random_steps.h"
#include "container/test_loop.h"
#include "container/warm_pool.h"
#include "router/fake.h"
#include "router/router.h"
#include "wasm/fake_backend.h"

namespace hybridserve {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

enum class Kind : uint8_t {
  kGet,
  kPost,
  kCancel,
  kGuestEnds,
  kContainerAnswers,
  kExecutorDies,
  kContainerExits,
  kContainerStopsListening,
  kAdvance,
  kDeploy,
  kRemove,
  kChangeProgram,
};
constexpr int kKinds = 12;

using Step = RandomStep<Kind>;

// 0: both builds; 1: a container only; 2: both, and its requests may be run twice.
constexpr size_t kFunctions = 3;
constexpr uint32_t kQueue = 3;

// Counts what it is answered with.
class CountedExchange : public MemoryExchange {
 public:
  using MemoryExchange::MemoryExchange;
  Awaitable<> Send(ResponseHead head, std::string_view body) override {
    ++answers_;
    return MemoryExchange::Send(std::move(head), body);
  }
  Awaitable<> Begin(ResponseHead head, std::optional<uint64_t> content_length) override {
    ++answers_;
    return MemoryExchange::Begin(std::move(head), content_length);
  }
  [[nodiscard]] int answers() const { return answers_; }

 private:
  int answers_ = 0;
};

class World {
 public:
  World(PoolOptions options, uint32_t wasm_slots)
      : options_(options), wasm_slots_(wasm_slots), wasm_(loop_.executor(), wasm_slots) {
    runtime_.create_time = 3ms;
    runtime_.destroy_time = 7ms;
    runtime_.program = [this](const ContainerSpec&) { return program_; };
    ChangeProgram(kGoodProgram);
    wasm_.Hold();
    wasm_.SetHandler([this](const WasmInvocation& invocation) { return RunGuest(invocation); });
    PoolEvents events;
    events.slot_freed = [this](const Deployed& function) { router_->OnSlotFreed(function); };
    WarmPoolParts parts;
    parts.clock = &clock_;
    pool_ = std::make_unique<WarmPool>(loop_.executor(), runtime_, options, events, parts);
    Router::Options routing;
    routing.max_containers = options.max_containers;
    routing.max_unload_delay = 1ms;
    routing.clock = &clock_;
    router_ = std::make_unique<Router>(loop_.executor(), routing, &wasm_, pool_.get(), metrics_);
    for (size_t i = 0; i < kFunctions; ++i) Deploy(i);
  }
  ~World() {
    for (const auto& request : requests_) request->cancel.emit(asio::cancellation_type::terminal);
    LetGo();
    loop_.Settle();
  }

  void Do(const Step& step) {
    const size_t function = step.which % kFunctions;
    switch (step.kind) {
      case Kind::kGet:
        Ask(function, std::make_unique<Request>());
        break;
      case Kind::kPost:
        Ask(function, std::make_unique<Request>(std::vector<std::string>{"a", "b"}, true));
        break;
      case Kind::kCancel:
        if (!requests_.empty()) {
          Request& request = **std::next(requests_.begin(), step.which % requests_.size());
          request.cancelled = true;
          request.cancel.emit(asio::cancellation_type::terminal);
        }
        break;
      case Kind::kGuestEnds:
        wasm_.ReleaseOne();
        break;
      case Kind::kContainerAnswers:
        if (!held_.empty()) (*std::next(held_.begin(), step.which % held_.size()))->Set();
        break;
      case Kind::kExecutorDies:
        disturbed_ = executor_is_dead_ = true;
        while (wasm_.ReleaseOne()) {
        }
        loop_.Settle();
        executor_is_dead_ = false;
        break;
      case Kind::kContainerExits:
      case Kind::kContainerStopsListening:
        if (const auto ids = runtime_.ids(); !ids.empty()) {
          disturbed_ = true;
          const ContainerId id = ids[step.which % ids.size()];
          step.kind == Kind::kContainerExits ? runtime_.Exit(id, 1) : runtime_.StopListening(id);
        }
        break;
      case Kind::kAdvance:
        Advance(std::array{1ms, 10ms, 300ms, 4000ms}[step.which % 4]);
        break;
      case Kind::kDeploy:
        Deploy(function);
        break;
      case Kind::kRemove:
        if (live_[function]) {
          router_->Remove(live_[function]->manifest.name);
          live_[function] = nullptr;
          ++removals_;
        }
        break;
      case Kind::kChangeProgram:
        ChangeProgram(step.which % kPrograms);
        break;
    }
    loop_.Settle();
    Collect();
    Check();
  }

  // Guests end, containers answer or run out of time: each request has been answered once, and
  // after keep_alive no container and no code is left, and nothing is due any more.
  void CheckThatItScalesToZero() {
    LetGo();
    const auto is_empty = [this] {
      return requests_.empty() && runtime_.alive() == 0 && pool_->LookAtNode().starting == 0;
    };
    for (int i = 0; i < 60 && !is_empty(); ++i) {
      Advance(500ms);
      Collect();
    }
    RC_ASSERT(requests_.empty());
    RC_ASSERT(runtime_.alive() == 0u);
    RC_ASSERT(wasm_.running() == 0u);
    const PoolView view = pool_->LookAtNode();
    RC_ASSERT(view.ready == 0u && view.starting == 0u && view.busy_slots == 0u);
    Advance(4000ms);
    RC_ASSERT(clock_.Next() == Clock::TimePoint::max());
    for (const DeployedPtr& function : live_) {
      if (!function) continue;
      const Router::FunctionStatus status = router_->Status(function->manifest.name);
      RC_ASSERT(status.wasm_running == 0u && status.queued == 0u && !status.wasm_loaded);
    }
  }

 private:
  struct Request {
    template <typename... Args>
    explicit Request(Args&&... args) : exchange(std::forward<Args>(args)...) {}
    size_t function = 0;
    uint32_t removals = 0;  // Of functions, before it came.
    bool may_run_twice = false;
    std::string id;
    CountedExchange exchange;
    asio::cancellation_signal cancel;
    bool cancelled = false;
    bool done = false;
  };

  void Deploy(size_t index) {
    auto function = MakeFunction(std::string(1, static_cast<char>('a' + index)), ++revisions_);
    Manifest& manifest = function->manifest;
    if (index == 1) {
      manifest.wasm.reset();
      function->module = {};
    }
    manifest.idempotent = index == 2;
    manifest.scale.max_containers = static_cast<uint32_t>(1 + index);
    manifest.scale.slots = static_cast<uint32_t>(3 - index);
    manifest.scale.keep_alive = 2s;
    manifest.limits.memory_bytes = (1 + index) << 20;
    manifest.limits.concurrency = 2;
    manifest.limits.queue = kQueue;
    manifest.limits.queue_timeout = 1s;
    manifest.limits.start_timeout = 1500ms;
    // The fake guest's time is the real one: it never runs out.
    manifest.limits.run_timeout = index == 1 ? std::chrono::milliseconds(3s) : 1h;
    live_[index] = function;
    router_->Deploy(function);
  }

  void Ask(size_t function, std::unique_ptr<Request> asked) {
    if (!live_[function]) return;
    Request& request = **requests_.insert(requests_.end(), std::move(asked));
    request.function = function;
    request.removals = removals_;
    request.id = std::to_string(++asked_);
    RequestHead& head = request.exchange.mutable_head();
    request.may_run_twice = function == 2 || head.method == "GET";
    head.headers.push_back({"X-Id", request.id});
    asio::co_spawn(
        loop_.io, router_->Handle(live_[function], request.exchange),
        asio::bind_cancellation_slot(request.cancel.slot(), [&request](std::exception_ptr error) {
          if (error) std::rethrow_exception(error);
          request.done = true;
        }));
  }

  Result<FakeWasmAnswer> RunGuest(const WasmInvocation& invocation) {
    for (const Header& header : invocation.head->headers) {
      if (header.name == "X-Id") ++runs_[header.value];
    }
    if (executor_is_dead_) return Fail(Code::kBackendDied, "the executor died");
    return FakeWasmAnswer{};
  }

  // One connection to a container: each request is answered when the test says so.
  asio::awaitable<void> ServeInContainer(FakeSocket& socket) {
    std::string buffer;
    while (true) {
      const std::optional<FakeRequest> request = co_await ReadFakeRequest(socket, buffer);
      if (!request) co_return;
      ++runs_[request->Field("X-Id")];
      if (holds_) {
        Event let_go(loop_.executor());
        const auto place = held_.insert(held_.end(), &let_go);
        co_await let_go.Wait();
        held_.erase(place);
      }
      const std::string answer = FakeAnswer("hello");
      const auto [error, size] = co_await asio::async_write(socket, asio::buffer(answer),
                                                            asio::as_tuple(asio::use_awaitable));
      if (error) co_return;
    }
  }

  void LetGo() {
    holds_ = false;
    ChangeProgram(kGoodProgram);
    wasm_.ReleaseAll();
    for (Event* held : held_) held->Set();
  }

  void ChangeProgram(uint32_t which) {
    if (which != kGoodProgram) disturbed_ = true;
    ChooseProgram(which, runtime_, program_);
    program_.serve = [this](FakeSocket& socket) { return ServeInContainer(socket); };
  }

  void Advance(std::chrono::steady_clock::duration by) {
    PassTime(by, clock_, loop_, [] {});
  }

  void Collect() {
    for (auto one = requests_.begin(); one != requests_.end();) {
      if (!(*one)->done) {
        RC_ASSERT(!(*one)->cancelled);
        ++one;
        continue;
      }
      CheckAnswer(**one);
      one = requests_.erase(one);
    }
  }

  // One answer or one clear error; a request that must not run twice has not.
  void CheckAnswer(const Request& request) {
    const int runs = runs_[request.id];
    RC_ASSERT(runs <= (request.may_run_twice ? 2 : 1));
    RC_ASSERT(request.exchange.answers() <= 1);
    if (request.cancelled) return;
    RC_ASSERT(request.exchange.answers() == 1 && request.exchange.ended());
    static constexpr std::array kStatuses{200, 429, 500, 502, 503, 504};
    const int status = request.exchange.status();
    RC_ASSERT(std::find(kStatuses.begin(), kStatuses.end(), status) != kStatuses.end());
    RC_ASSERT(status != 200 || runs >= 1);
  }

  void Check() {
    RC_ASSERT(runtime_.most_alive() <= options_.max_containers);
    RC_ASSERT(wasm_.peak_running() <= wasm_slots_);
    uint32_t running = 0;
    for (const DeployedPtr& function : live_) {
      if (!function) continue;
      const Router::FunctionStatus status = router_->Status(function->manifest.name);
      const PoolView& view = status.containers;
      running += status.wasm_running;
      RC_ASSERT(status.wasm_running <= function->manifest.limits.concurrency);
      RC_ASSERT(status.queued <= 2 * kQueue);
      RC_ASSERT(view.starting <= 1u);
      RC_ASSERT(view.ready + view.starting <= function->manifest.scale.max_containers);
      // Without deaths nobody waits while a container could take the request.
      RC_ASSERT(disturbed_ || status.queued == 0u || view.free_slots == 0u);
    }
    // Those of a removed function are no longer in the table.
    const bool all_in_table = std::all_of(
        requests_.begin(), requests_.end(),
        [this](const auto& request) { return request->removals == removals_; });
    RC_ASSERT(running <= wasm_.running());
    RC_ASSERT(!all_in_table || running == wasm_.running());
  }

  const PoolOptions options_;
  const uint32_t wasm_slots_;
  TestLoop loop_;
  ManualClock clock_;
  Metrics metrics_;
  FakeRuntime runtime_{loop_.executor(), clock_};
  FakeProgram program_;
  FakeWasmBackend wasm_;
  std::unique_ptr<WarmPool> pool_;
  std::unique_ptr<Router> router_;
  std::array<DeployedPtr, kFunctions> live_;
  std::list<std::unique_ptr<Request>> requests_;
  std::list<Event*> held_;           // Requests in containers that wait to be answered.
  std::map<std::string, int> runs_;  // By a request's id: how often a function began on it.
  bool holds_ = true;
  bool executor_is_dead_ = false;
  bool disturbed_ = false;  // A backend died, or could not be reached or started.
  int64_t revisions_ = 0;
  uint64_t asked_ = 0;
  uint32_t removals_ = 0;
};

RC_GTEST_PROP(RouterProperty, AnswersEachRequestOnceAndScalesToZeroWhateverHappens, ()) {
  World world(RandomPoolOptions(), *rc::gen::inRange<uint32_t>(1, 5));
  for (const Step& one : *RandomSteps<Kind>(kKinds)) world.Do(one);
  world.CheckThatItScalesToZero();
}

}  // namespace
}  // namespace hybridserve
