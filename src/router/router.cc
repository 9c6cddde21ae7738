#include "router/router.h"

#include <spdlog/spdlog.h>

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <unordered_map>
#include <utility>

#include "router/body.h"
#include "router/deadline.h"
#include "router/overload.h"
#include "router/route_header.h"
#include "router/wasm_code.h"
#include "router/wasm_slots.h"

namespace hybridserve {

namespace asio = boost::asio;

namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

Microseconds Between(SteadyTime from, SteadyTime to) {
  return std::chrono::duration_cast<Microseconds>(to - from);
}

// What the router keeps of one function, over its revisions.
struct Entry {
  DeployedPtr live;
  WasmSlots::Share share;
  WasmCode::State code;
  FunctionCountsPtr counts;  // Made at the first invocation.
  uint32_t waiting_for_container = 0;
  ServiceTime guests;  // In Wasm; the next in containers.
  ServiceTime exchanges;
};

// Shared by: the table and the function's requests in flight, which may outlive its removal.
using EntryPtr = std::shared_ptr<Entry>;

// One request on its way. Lives on the frame of Handle and stays where it is.
struct Call {
  EntryPtr entry;
  DeployedPtr function;
  Exchange& exchange;
  SteadyTime arrived;
  CollectedBody body;           // For Wasm.
  Exchange* request = nullptr;  // What the backend reads: `exchange`, `kept` or `collected`.
  std::optional<ReplayableExchange> kept{};
  std::optional<CollectedExchange> collected{};
  Policy policy;
  Decision decision;
  bool decided = false;  // Otherwise no backend had to do with it.
  StartKind start = StartKind::kWarm;
  Timing timing;
  int status = 0;  // Of the function's own answer; 0 while there is none.
  bool retried = false;
  std::optional<SteadyTime> run_began;  // When a backend first got it.

  [[nodiscard]] const Limits& limits() const { return function->manifest.limits; }
  [[nodiscard]] const std::string& name() const { return function->manifest.name.value; }
  void Annotate(Exchange& to) const {
    to.Annotate({decision.backend, start, ReasonName(decision.reason), timing});
  }
  // The body is in `body`: whoever comes next reads it there.
  void UseCollected() {
    collected.emplace(exchange, body.bytes);
    request = &*collected;
  }
  // The request can be read from its beginning. False: part of its body is gone.
  [[nodiscard]] bool Rewind() {
    if (collected) {
      UseCollected();
      return true;
    }
    return !exchange.head().has_body || (kept && kept->Rewind());
  }
};

Error QueueFull(const Call& call) {
  return {Code::kQueueFull, "function '" + call.name() + "' is busy and " +
                                std::to_string(call.limits().queue) +
                                " requests wait already (limits.queue); try again later"};
}

// Whether a request may begin to wait behind `waiting` others, which `busy` slots work off.
Result<> MayWait(const Call& call, uint32_t waiting, uint32_t busy, const ServiceTime& service) {
  if (waiting >= call.limits().queue) return tl::unexpected<Error>(QueueFull(call));
  const Microseconds wait = ExpectedWait(waiting, busy, service.average());
  if (wait <= call.limits().queue_timeout) return {};
  return Fail(Code::kQueueFull,
              "function '" + call.name() + "' is busy: the " + std::to_string(waiting) +
                  " requests that wait already will take about " +
                  std::to_string(wait.count() / 1000) +
                  " ms, longer than a request may wait (limits.queue_timeout); try again later");
}

// True for a failure after which the request can still be run elsewhere: the container took no
// connection, nothing of the body was read and nothing of an answer was sent.
bool CanRunElsewhere(const Result<>& result, const Exchange& exchange) {
  return !result && result.error().code == Code::kUnavailable && !exchange.answered();
}

// True for a failure after which the request may be run again, if it may run twice at all.
bool BackendDied(const Result<>& result, const Exchange& exchange) {
  return !result && result.error().code == Code::kBackendDied && !exchange.answered();
}

// Errors: kCancelled the client of a coroutine in this state went away. What is begun after that
// would not hear of it any more.
Result<> CheckStillThere(const asio::cancellation_state& state) {
  if (state.cancelled() == asio::cancellation_type::none) return {};
  return Fail(Code::kCancelled, "the client went away");
}

// Counts one request that waits for a container.
class Waiting {
 public:
  explicit Waiting(uint32_t& count) : count_(count) { ++count_; }
  ~Waiting() { --count_; }
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;

 private:
  uint32_t& count_;
};

}  // namespace

struct Router::Impl : std::enable_shared_from_this<Router::Impl> {
  Impl(const asio::any_io_executor& on, Options with, WasmBackend* wasm_backend,
       ContainerPool* pool, Metrics& counted)
      : executor(on),
        options(std::move(with)),
        wasm(wasm_backend),
        containers(pool),
        metrics(counted),
        own_clock(options.clock == nullptr ? std::make_unique<SystemClock>(on) : nullptr),
        clock(options.clock == nullptr ? *own_clock : *options.clock),
        slots(on, clock, [this] { return wasm != nullptr ? wasm->slots() : 0; }),
        code(clock, wasm, options.max_unload_delay),
        budget(options.body_memory_bytes),
        answers(options.answer_memory_bytes) {}

  [[nodiscard]] EntryPtr FindEntry(const FunctionName& name) const {
    const auto found = functions.find(name);
    return found != functions.end() ? found->second : nullptr;
  }

  Result<> Decide(Call& call) const;
  [[nodiscard]] bool HasWasm(const Call& call) const;
  [[nodiscard]] bool MayRunTwice(const Call& call) const;
  Awaitable<> Serve(Call& call);
  Awaitable<> ServeAsDecided(Call& call);
  Awaitable<> Retry(Call& call, const Error& death);
  Awaitable<> ServeByWasm(Call& call);
  Awaitable<WasmSlots::Ticket> WaitForTurn(Call& call, WasmSlots::Divert divert);
  Awaitable<> RunGuest(Call& call, WasmSlots::Slot slot);
  Awaitable<> ServeByContainer(Call& call);
  Awaitable<std::unique_ptr<ContainerPool::Slot>> AcquireContainer(Call& call);
  Awaitable<> Forward(Call& call, std::unique_ptr<ContainerPool::Slot> slot);
  Awaitable<> AnswerFailure(Call& call, const Error& error) const;
  FunctionCounts& CountsOf(const Call& call);
  void Count(Call& call, const Result<>& result);
  void OfferContainers(const FunctionName& name);
  void Fill(Gauges& gauges) const;
  static asio::awaitable<void> Handle(std::shared_ptr<Impl> self, DeployedPtr function,
                                      Exchange& exchange);

  asio::any_io_executor executor;
  Options options;
  WasmBackend* wasm;
  ContainerPool* containers;
  Metrics& metrics;
  std::unique_ptr<SystemClock> own_clock;  // Where none was given.
  Clock& clock;
  WasmSlots slots;
  WasmCode code;
  BodyBudget budget;
  BodyBudget answers;  // Of guests, on their way to clients.
  std::unordered_map<FunctionName, EntryPtr> functions;
  std::unordered_map<std::string, FunctionName> hosts;
};

Result<> Router::Impl::Decide(Call& call) const {
  const Manifest& manifest = call.function->manifest;
  const auto allowed = options.allow_route_header ? RouteHeader::kAllowed : RouteHeader::kForbidden;
  TRY_ASSIGN(const std::optional<PolicyKind> requested,
             RequestedPolicy(call.exchange.head(), allowed));
  call.policy.kind = requested ? *requested : manifest.policy.value_or(options.policy);
  call.policy.from_request = requested.has_value();

  FunctionState function{.has_wasm = !call.function->module.value.empty(),
                         .has_container = !call.function->image.value.empty(),
                         .max_containers = manifest.scale.max_containers};
  NodeState node{.runs_wasm = wasm != nullptr, .runs_containers = containers != nullptr};
  if (containers != nullptr && function.has_container &&
      call.policy.kind != PolicyKind::kWasmOnly) {
    const PoolView view = containers->Look(*call.function);
    function.ready = view.ready;
    function.starting = view.starting;
    function.free_slots = view.free_slots;
    function.failures_in_row = view.failures_in_row;
    function.last_failure = view.last_failure;
    if (view.free_slots == 0) {
      const PoolView all = containers->LookAtNode();
      node.containers = all.ready + all.starting;
      node.max_containers = options.max_containers;
      node.starting = all.starting;
      node.max_starting = options.max_starting;
    }
  }
  auto decision = hybridserve::Decide(call.policy, function, node, call.arrived);
  if (!decision) return Wrap(std::move(decision.error()), "function '" + call.name() + "'");
  call.decision = *decision;
  call.decided = true;
  return {};
}

Awaitable<> Router::Impl::Serve(Call& call) {
  CO_TRY(Decide(call));
  const RequestHead& head = call.exchange.head();
  if (head.content_length && *head.content_length > call.limits().body_bytes) {
    co_return Fail(Code::kTooLarge, "the body has " + std::to_string(*head.content_length) +
                                        " bytes; function '" + call.name() + "' takes at most " +
                                        std::to_string(call.limits().body_bytes) +
                                        " (limits.body)");
  }
  call.exchange.LimitBody(call.limits().body_bytes);

  const bool may_run_twice = MayRunTwice(call);
  if (may_run_twice && head.has_body && call.decision.backend == Backend::kContainer) {
    call.kept.emplace(call.exchange, budget);
    call.request = &*call.kept;
  }
  Result<> served = co_await ServeAsDecided(call);
  const bool again = may_run_twice && BackendDied(served, call.exchange) && call.Rewind();
  if (!again) co_return served;
  const asio::cancellation_state state = co_await asio::this_coro::cancellation_state;
  CO_TRY(CheckStillThere(state));
  Result<> retried = co_await Retry(call, served.error());
  co_return retried;
}

// Whether the request could run in Wasm here.
bool Router::Impl::HasWasm(const Call& call) const {
  return wasm != nullptr && !call.function->module.value.empty();
}

// Where its function says that this does no harm (RFC 9110 9.2.2), and there are two backends that
// the policy lets it use.
bool Router::Impl::MayRunTwice(const Call& call) const {
  const Manifest& manifest = call.function->manifest;
  const std::string& method = call.exchange.head().method;
  return (manifest.idempotent || method == "GET" || method == "HEAD") &&
         call.policy.kind == PolicyKind::kPaper && HasWasm(call) && containers != nullptr &&
         !call.function->image.value.empty() && manifest.scale.max_containers > 0;
}

Awaitable<> Router::Impl::ServeAsDecided(Call& call) {
  if (call.decision.backend == Backend::kContainer) {
    Result<> served = co_await ServeByContainer(call);
    const bool fall_back = call.policy.kind == PolicyKind::kPaper && HasWasm(call) &&
                           CanRunElsewhere(served, call.exchange);
    if (!fall_back) co_return served;
    call.decision = {Backend::kWasm, Reason::kContainerUnreachable, false};
    call.start = StartKind::kWarm;
  } else if (call.decision.prepare) {
    containers->Prepare(call.function);
  }
  Result<> served = co_await ServeByWasm(call);
  co_return served;
}

// The request once more, on the other backend, in what is left of its run_timeout.
Awaitable<> Router::Impl::Retry(Call& call, const Error& death) {
  const SteadyTime now = clock.Now();
  const SteadyTime deadline = *call.run_began + call.limits().run_timeout;
  if (now >= deadline) co_return tl::unexpected<Error>(death);
  const Backend from = call.decision.backend;
  const Backend to = from == Backend::kWasm ? Backend::kContainer : Backend::kWasm;
  Metrics::CountRetry(CountsOf(call), from);
  spdlog::info("retry function={} from={} to={} request_id={}: {}", call.name(), BackendName(from),
               BackendName(to), call.exchange.head().request_id, death.message);
  call.retried = true;
  call.decision = {to, Reason::kRetry, false};
  call.start = StartKind::kWarm;
  call.timing.start += Between(*call.run_began, now);
  call.timing.run = {};
  Awaitable<> again = to == Backend::kWasm ? ServeByWasm(call) : ServeByContainer(call);
  Result<> served = co_await RunUntil(executor, clock, deadline, std::move(again));
  if (served || served.error().code == Code::kCancelled) co_return served;
  co_return Wrap(std::move(served.error()),
                 death.message + "; run again, on " + std::string(BackendName(to)));
}

Awaitable<> Router::Impl::ServeByWasm(Call& call) {
  WasmSlots::Share& share = call.entry->share;
  // Before the body is read: a refused upload should not be carried here first.
  if (share.waiting() > 0) {
    CO_TRY(MayWait(call, share.waiting(), share.running(), call.entry->guests));
  }
  if (!call.collected) {
    Result<> collected;
    if (call.exchange.head().has_body) collected = co_await CollectBody(*call.request, call.body);
    if (!collected) co_return collected;
    call.UseCollected();
  }
  WasmSlots::Slot slot = slots.TryTake(share);
  auto divert = call.policy.kind == PolicyKind::kPaper && !call.retried
                    ? WasmSlots::Divert::kAllowed
                    : WasmSlots::Divert::kForbidden;
  while (!slot) {
    Result<WasmSlots::Ticket> ticket = co_await WaitForTurn(call, divert);
    if (!ticket) co_return tl::unexpected(std::move(ticket.error()));
    if (!ticket->container) {
      slot = std::move(ticket->wasm);
      break;
    }
    const Decision by_wasm =
        std::exchange(call.decision, {Backend::kContainer, Reason::kWarmContainer, false});
    Result<> served = co_await Forward(call, std::move(ticket->container));
    if (!CanRunElsewhere(served, call.exchange)) co_return served;
    call.decision = by_wasm;
    divert = WasmSlots::Divert::kForbidden;
    slot = slots.TryTake(share);
  }
  Result<> ran = co_await RunGuest(call, std::move(slot));
  co_return ran;
}

Awaitable<WasmSlots::Ticket> Router::Impl::WaitForTurn(Call& call, WasmSlots::Divert divert) {
  WasmSlots::Share& share = call.entry->share;
  CO_TRY(MayWait(call, share.waiting(), share.running(), call.entry->guests));
  const SteadyTime from = clock.Now();
  Result<WasmSlots::Ticket> ticket =
      co_await slots.Wait(share, call.limits().queue_timeout, divert);
  call.timing.queue += Between(from, clock.Now());
  if (!ticket && ticket.error().code == Code::kTimeout) {
    ticket.error().message += " of function '" + call.name() +
                              "' (limits.queue_timeout); raise limits.concurrency or try later";
  }
  co_return ticket;
}

Awaitable<> Router::Impl::RunGuest(Call& call, WasmSlots::Slot slot) {
  const asio::cancellation_state state = co_await asio::this_coro::cancellation_state;
  CO_TRY(CheckStillThere(state));
  WasmCode::Use use = code.Begin(call.entry->code, call.function);
  WasmInvocation invocation{call.function, &call.exchange.head(), call.body.bytes};
  const SteadyTime began = clock.Now();
  if (!call.run_began) call.run_began = began;
  Result<WasmResult> result = co_await wasm->Invoke(std::move(invocation));
  call.entry->guests.Add(Between(began, clock.Now()));
  // The guest is gone: a client that reads slowly holds neither its slot nor its code.
  use.End();
  slot.Release();
  if (!result) co_return tl::unexpected(std::move(result.error()));
  BodyBudget::Claim claim(answers);
  if (!claim.Grow(result->bytes.size())) {
    co_return Fail(
        Code::kUnavailable,
        "this node holds as many answers that clients have not read as it has room for (" +
            std::to_string(answers.limit_bytes()) + " bytes); try again later");
  }
  call.start = result->start_kind;
  call.timing.start += result->start;
  call.timing.run = result->run;
  call.status = result->head.status;
  call.Annotate(call.exchange);
  const std::string_view bytes = std::string_view(result->bytes).substr(result->body_offset);
  Result<> sent = co_await call.exchange.Send(std::move(result->head), bytes);
  co_return sent;
}

Awaitable<> Router::Impl::ServeByContainer(Call& call) {
  std::unique_ptr<ContainerPool::Slot> slot = containers->TryAcquire(call.function);
  if (!slot && call.decision.reason == Reason::kWarmContainer && HasWasm(call)) {
    // It went in between (its container is ending): as a function without a warm one.
    co_return Fail(Code::kUnavailable, "the container went away");
  }
  if (!slot) {
    Result<std::unique_ptr<ContainerPool::Slot>> acquired = co_await AcquireContainer(call);
    if (!acquired) co_return tl::unexpected(std::move(acquired.error()));
    slot = std::move(*acquired);
  }
  Result<> served = co_await Forward(call, std::move(slot));
  co_return served;
}

Awaitable<std::unique_ptr<ContainerPool::Slot>> Router::Impl::AcquireContainer(Call& call) {
  const PoolView view = containers->Look(*call.function);
  const bool some_ready = view.ready > 0;
  // What starts will work, too; while nothing has started there is nothing to go by.
  const uint32_t slots_soon =
      some_ready ? view.busy_slots + view.starting * call.function->manifest.scale.slots : 0;
  CO_TRY(MayWait(call, call.entry->waiting_for_container, slots_soon, call.entry->exchanges));
  const Waiting waiting(call.entry->waiting_for_container);
  const SteadyTime from = clock.Now();
  Result<std::unique_ptr<ContainerPool::Slot>> acquired =
      co_await containers->Acquire(call.function);
  // Waiting for a slot of a running container is queueing; else it is the container's start.
  (some_ready ? call.timing.queue : call.timing.start) += Between(from, clock.Now());
  call.start = some_ready ? StartKind::kWarm : StartKind::kCold;
  co_return acquired;
}

Awaitable<> Router::Impl::Forward(Call& call, std::unique_ptr<ContainerPool::Slot> slot) {
  const auto add_headers = [&call](ResponseHead&, Microseconds run_so_far) {
    call.timing.run = run_so_far;
    call.Annotate(call.exchange);
  };
  const SteadyTime began = clock.Now();
  if (!call.run_began) call.run_began = began;
  Result<ForwardResult> forwarded = co_await slot->Forward(*call.request, add_headers);
  call.entry->exchanges.Add(Between(began, clock.Now()));
  if (!forwarded) co_return tl::unexpected(std::move(forwarded.error()));
  call.status = forwarded->status;
  call.timing.run = forwarded->run;
  co_return Result<>();
}

Awaitable<> Router::Impl::AnswerFailure(Call& call, const Error& error) const {
  if (error.code == Code::kCancelled || call.exchange.answered()) co_return Result<>();
  if (call.decided) call.Annotate(call.exchange);
  ErrorAnswer answer = MakeErrorAnswer(error);
  Result<> sent = co_await call.exchange.Send(std::move(answer.head), answer.body);
  co_return sent;
}

FunctionCounts& Router::Impl::CountsOf(const Call& call) {
  FunctionCountsPtr& counts = call.entry->counts;
  if (!counts) counts = metrics.Of(call.function->manifest.name);
  return *counts;
}

void Router::Impl::Count(Call& call, const Result<>& result) {
  if (!call.decided) return metrics.CountRefused(HttpStatus(result.error().code));
  Outcome outcome = call.status >= 500 ? Outcome::kErrorStatus : Outcome::kOk;
  if (!result) outcome = OutcomeOf(result.error().code);
  const Microseconds total = Between(call.arrived, clock.Now());
  metrics.CountInvocation(CountsOf(call), call.decision.backend, call.start, outcome, call.timing,
                          total);
  if (!spdlog::should_log(spdlog::level::debug)) return;
  spdlog::debug(
      "invocation function={} revision={} backend={} start={} reason={} outcome={} status={} "
      "queue_us={} start_us={} run_us={} total_us={} request_id={}{}{}",
      call.name(), call.function->revision.value, BackendName(call.decision.backend),
      StartName(call.start), ReasonName(call.decision.reason), OutcomeName(outcome), call.status,
      call.timing.queue.count(), call.timing.start.count(), call.timing.run.count(), total.count(),
      call.exchange.head().request_id,
      result ? "" : " error=", result ? "" : result.error().message);
}

asio::awaitable<void> Router::Impl::Handle(std::shared_ptr<Impl> self, DeployedPtr function,
                                           Exchange& exchange) {
  co_await asio::this_coro::throw_if_cancelled(false);
  EntryPtr entry = self->FindEntry(function->manifest.name);
  if (!entry) {
    // Removed since it was looked up: the request still finishes, on an entry of its own.
    entry = std::make_shared<Entry>();
    self->slots.SetLimit(entry->share, function->manifest.limits.concurrency);
    entry->counts = std::make_shared<FunctionCounts>();
  }
  Call call{std::move(entry), std::move(function), exchange, self->clock.Now(),
            CollectedBody(self->budget)};
  call.request = &exchange;
  Result<> served = co_await self->Serve(call);
  if (!served) {
    Result<> answered = co_await self->AnswerFailure(call, served.error());
    if (!answered) spdlog::debug("answer a failure: {}", answered.error().message);
  }
  self->Count(call, served);
}

void Router::Impl::OfferContainers(const FunctionName& name) {
  const EntryPtr entry = FindEntry(name);
  if (!entry || containers == nullptr) return;
  slots.OfferContainers(entry->share,
                        [this, &entry] { return containers->TryAcquire(entry->live); });
}

void Router::Impl::Fill(Gauges& gauges) const {
  gauges.functions += functions.size();
  gauges.wasm_running += slots.running();
  gauges.queued += slots.waiting();
  for (const auto& [name, entry] : functions) gauges.queued += entry->waiting_for_container;
  if (containers == nullptr) return;
  const PoolView view = containers->LookAtNode();
  gauges.containers_starting += view.starting;
  gauges.containers_ready += view.ready - view.frozen;
  gauges.containers_frozen += view.frozen;
  gauges.container_slots_busy += view.busy_slots;
  gauges.container_slots_free += view.free_slots;
  const ContainerPool::Usage used = containers->Used();
  gauges.containers_ending += used.ending;
  gauges.container_memory_bytes += used.memory_bytes;
}

Router::Router(asio::any_io_executor executor, Options options, WasmBackend* wasm,
               ContainerPool* containers, Metrics& metrics)
    : impl_(std::make_shared<Impl>(executor, std::move(options), wasm, containers, metrics)) {
  metrics.OnCollect([weak = std::weak_ptr(impl_)](Gauges& gauges) {
    if (const auto impl = weak.lock()) impl->Fill(gauges);
  });
}

Router::~Router() = default;

void Router::Deploy(DeployedPtr function) {
  const Manifest& manifest = function->manifest;
  EntryPtr& entry = impl_->functions[manifest.name];
  if (!entry) entry = std::make_shared<Entry>();
  const DeployedPtr before = std::exchange(entry->live, function);
  if (before) {
    std::erase_if(impl_->hosts, [&](const auto& host) { return host.second == manifest.name; });
  }
  for (const std::string& host : manifest.hosts) impl_->hosts[host] = manifest.name;
  impl_->slots.SetLimit(entry->share, manifest.limits.concurrency);
  impl_->code.SetLive(entry->code, function);
  if (impl_->containers == nullptr) return;
  if (before && before != function) impl_->containers->Retire(before);
  if (manifest.scale.min_warm > 0 && !function->image.value.empty()) {
    impl_->containers->KeepWarm(function);
  }
}

void Router::Remove(const FunctionName& name) {
  const auto found = impl_->functions.find(name);
  if (found == impl_->functions.end()) return;
  const EntryPtr entry = found->second;
  impl_->functions.erase(found);
  std::erase_if(impl_->hosts, [&](const auto& host) { return host.second == name; });
  impl_->metrics.Drop(name);
  if (!entry->counts) entry->counts = std::make_shared<FunctionCounts>();
  impl_->code.SetLive(entry->code, nullptr);
  if (impl_->containers != nullptr) impl_->containers->Retire(entry->live);
}

DeployedPtr Router::Find(const FunctionName& name) const {
  const auto found = impl_->functions.find(name);
  return found != impl_->functions.end() ? found->second->live : nullptr;
}

DeployedPtr Router::FindByHost(std::string_view host) const {
  const auto found = impl_->hosts.find(std::string(host));
  return found != impl_->hosts.end() ? Find(found->second) : nullptr;
}

bool Router::HasHosts() const { return !impl_->hosts.empty(); }

Router::FunctionStatus Router::Status(const FunctionName& name) const {
  const EntryPtr entry = impl_->FindEntry(name);
  if (!entry) return {};
  FunctionStatus status;
  status.wasm_running = entry->share.running();
  status.queued = entry->share.waiting() + entry->waiting_for_container;
  status.wasm_loaded = impl_->wasm != nullptr && impl_->wasm->IsLoaded(*entry->live);
  if (impl_->containers != nullptr) status.containers = impl_->containers->Look(*entry->live);
  return status;
}

asio::awaitable<void> Router::Handle(DeployedPtr function, Exchange& exchange) {
  return Impl::Handle(impl_, std::move(function), exchange);
}

void Router::OnSlotFreed(const Deployed& function) {
  const EntryPtr entry = impl_->FindEntry(function.manifest.name);
  if (!entry || entry->share.waiting() == 0) return;
  // Not from within the pool's own call.
  asio::post(impl_->executor, [weak = std::weak_ptr(impl_), name = function.manifest.name] {
    if (const auto impl = weak.lock()) impl->OfferContainers(name);
  });
}

}  // namespace hybridserve
