// Starts of containers: accepted, queued for a boot slot and for room, booted, probed.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <string>
#include <utility>

#include "container/pool_state.h"

namespace hybridserve {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using std::chrono::steady_clock;

// A static server listens 0.6 ms after its start, CPython after 50 ms: probes come often at first.
constexpr steady_clock::duration kFirstProbe = 150us;
constexpr steady_clock::duration kLastProbe = 20ms;
// The exit is heard of on another way than the last output.
constexpr steady_clock::duration kLastOutput = 50ms;
// What one container may write to its log per pause: more waits in its pipe.
constexpr size_t kLogBytesPerPause = 64 * 1024;
constexpr steady_clock::duration kLogPause = 10ms;

std::string Quoted(const Deployed& function) {
  return "container of function '" + function.manifest.name.value + "'";
}

// A program that cannot be run, or an image that is gone, is no fault of the request's.
Error StartError(const PoolContainer& container, Error error) {
  const bool of_the_function = error.code == Code::kInvalidArgument || error.code == Code::kNotFound;
  return {of_the_function ? Code::kFunctionFailed : error.code,
          "the " + Quoted(*container.function) + " cannot be started: " + error.message};
}

}  // namespace

bool WarmPool::Impl::StartOne(PoolSet& set) {
  if (closed) return false;
  if (set.Booting() > 0) return true;
  if (set.containers.size() >= set.scale().max_containers) return false;
  if (!MakeRoom(set)) return false;
  auto container = std::make_shared<PoolContainer>(executor, set);
  set.containers.push_back(container);
  ++live;
  live_memory += container->MemoryLimit();
  boot_queue.push_back(std::move(container));
  Pump();
  return true;
}

void WarmPool::Impl::StartForWaiters(PoolSet& set) {
  if (set.waiters.empty() || set.Booting() > 0) {
    set.starved = false;
    return;
  }
  if (clock.Now() < set.BackOffUntil()) {
    if (set.containers.empty()) FailWaiters(set, set.last_error);
    return;
  }
  set.starved = !StartOne(set) && set.containers.size() < set.scale().max_containers;
}

void WarmPool::Impl::StartStarved() {
  if (closed) return;
  // Making room may forget other sets, never one that has waiters.
  std::vector<PoolSet*> starved;
  for (const auto& [key, set] : sets) {
    if (set->waiters.empty()) set->starved = false;  // They have left, or got a slot.
    if (set->starved) starved.push_back(set.get());
  }
  for (PoolSet* set : starved) StartForWaiters(*set);
}

void WarmPool::Impl::Maintain(PoolSet& set) {
  if (closed || !set.keep_warm || set.Booting() > 0) return;
  if (set.containers.size() >= set.scale().min_warm) return;
  const Clock::TimePoint now = clock.Now();
  Clock::TimePoint again = set.BackOffUntil();
  if (again <= now) {
    if (StartOne(set)) return;  // its end calls Maintain
    again = now + 1s;
  }
  set.retry = clock.At(again, [this, &set] { Maintain(set); });
}

bool WarmPool::Impl::HasRoom(uint64_t memory_bytes) const {
  if (live >= options.max_containers) return false;
  return options.memory_bytes == 0 || live_memory + memory_bytes <= options.memory_bytes;
}

// Ends the least valuable idle containers of other revisions until one more fits. Ends none when
// that would not be enough.
bool WarmPool::Impl::MakeRoom(const PoolSet& set) {
  const uint64_t wanted = set.function->manifest.limits.memory_bytes;
  if (HasRoom(wanted)) return true;
  std::vector<PoolContainerPtr> idle;
  for (const auto& [key, other] : sets) {
    uint32_t may_go = other.get() == &set ? 0 : other->MayGo();
    for (const PoolContainerPtr& container : other->containers) {
      if (container->Booting() || container->busy > 0 || may_go == 0) continue;
      idle.push_back(container);
      --may_go;
    }
  }
  std::sort(idle.begin(), idle.end(), [](const PoolContainerPtr& a, const PoolContainerPtr& b) {
    return std::pair(a->keep_value, a->idle_since) < std::pair(b->keep_value, b->idle_since);
  });
  uint32_t count = live;
  uint64_t memory = live_memory;
  size_t goes = 0;
  const auto fits = [&] {
    return count < options.max_containers &&
           (options.memory_bytes == 0 || memory + wanted <= options.memory_bytes);
  };
  for (; !fits() && goes < idle.size(); ++goes) {
    --count;
    memory -= idle[goes]->MemoryLimit();
  }
  if (!fits()) return false;
  for (size_t i = 0; i < goes; ++i) {
    PoolSet* other = idle[i]->set;
    value_floor = idle[i]->keep_value;
    End(idle[i]);
    ForgetIfEmpty(*other);
  }
  return true;
}

// Starts what waits, in order, while boot slots and room last.
void WarmPool::Impl::Pump() {
  if (closed) return;
  while (boots < std::max(options.boots, 1u) && !boot_queue.empty()) {
    const PoolContainerPtr container = boot_queue.front();
    const uint64_t memory = occupied_memory + container->MemoryLimit();
    if (occupied >= options.max_containers) return;
    if (options.memory_bytes > 0 && memory > options.memory_bytes) return;
    boot_queue.pop_front();
    ++boots;
    ++occupied;
    occupied_memory = memory;
    container->state = ContainerState::kCreating;
    container->booting = true;
    asio::co_spawn(executor, Boot(container), asio::detached);
  }
}

asio::awaitable<void> WarmPool::Impl::Boot(PoolContainerPtr container) {
  const std::shared_ptr<Impl> self = shared_from_this();
  const DeployedPtr function = container->function;
  const Clock::TimePoint began = clock.Now();
  Result<> booted = co_await TryBoot(container);
  const auto took = std::chrono::duration_cast<Microseconds>(clock.Now() - began);
  --boots;
  container->booting = false;
  std::string_view outcome = "ready";
  if (container->abandoned || closed) {
    outcome = "cancelled";
    PoolSet& set = *container->set;
    End(container);
    StartForWaiters(set);
    Maintain(set);
    ForgetIfEmpty(set);
  } else if (booted) {
    std::optional<Microseconds>& usual = container->set->boot_time;
    usual = usual ? (*usual * 3 + took) / 4 : took;
    BecomeReady(container);
  } else {
    outcome = booted.error().code == Code::kTimeout ? "timeout" : "failed";
    BootFailed(container, booted.error());
  }
  Pump();
  StartStarved();
  if (closed) nothing_left.Set();
  if (events.booted) events.booted(*function, outcome, took);
  if (events.slot_freed) events.slot_freed(*function);
}

Awaitable<> WarmPool::Impl::TryBoot(PoolContainerPtr container) {
  CO_TRY_ASSIGN(container->id, co_await runtime.Create());
  container->created = true;
  occupying.emplace(container->id, container);
  if (container->abandoned) co_return Result<>{};
  CO_TRY(co_await OpenNetwork(container));
  if (container->abandoned) co_return Result<>{};
  ContainerSpec spec = make_spec(*container->function);
  spec.sandbox.label = ContainerLabel(*container->function);
  container->port = spec.port;
  Result<UniqueFd> log = co_await runtime.Start(container->id, std::move(spec));
  if (!log) co_return tl::unexpected(StartError(*container, std::move(log.error())));
  container->state = ContainerState::kStarting;
  StartLog(container, std::move(*log));
  Result<> listens = co_await WaitUntilItListens(container);
  co_return listens;
}

// Before the program starts: it may connect at once.
Awaitable<> WarmPool::Impl::OpenNetwork(PoolContainerPtr container) {
  if (!make_network || container->function->manifest.network.empty()) co_return Result<>{};
  CO_TRY_ASSIGN(UniqueFd listener, co_await runtime.Listen(container->id, kProxyPort));
  if (container->abandoned || container->state == ContainerState::kEnding) co_return Result<>{};
  container->network = make_network(std::move(listener), container->function);
  co_return Result<>{};
}

Awaitable<> WarmPool::Impl::WaitUntilItListens(PoolContainerPtr container) {
  const std::chrono::milliseconds limit = container->function->manifest.limits.start_timeout;
  const Clock::TimePoint deadline = clock.Now() + limit;
  steady_clock::duration interval = kFirstProbe;
  while (!container->abandoned) {
    if (container->exit) {
      CO_TRY(co_await WaitForLastOutput(container));
      co_return tl::unexpected(ExitError(*container));
    }
    Result<UniqueFd> stream = co_await runtime.Connect(container->id);
    if (stream) {
      container->idle.push_back(std::make_unique<Connection>(executor, std::move(*stream)));
      co_return Result<>{};
    }
    // kNotFound: it has just ended, and its exit is about to be heard of.
    const Code code = stream.error().code;
    if (code != Code::kUnavailable && code != Code::kNotFound) {
      co_return tl::unexpected(std::move(stream.error()));
    }
    if (clock.Now() >= deadline) {
      co_return Fail(Code::kTimeout,
                     "start timeout: the " + Quoted(*container->function) +
                         " did not listen on port " + std::to_string(container->port) +
                         " (its PORT variable) within " + std::to_string(limit.count()) + " ms" +
                         container->log.Describe());
    }
    co_await container->changed.WaitUntil(clock, std::min(clock.Now() + interval, deadline));
    interval = std::min(interval * 3 / 2, kLastProbe);
  }
  co_return Result<>{};
}

Awaitable<> WarmPool::Impl::WaitForLastOutput(PoolContainerPtr container) {
  const Clock::TimePoint until = clock.Now() + kLastOutput;
  while (!container->log_ended && clock.Now() < until) {
    co_await container->changed.WaitUntil(clock, until);
  }
  co_return Result<>{};
}

Error WarmPool::Impl::ExitError(const PoolContainer& container) const {
  std::string message = "the " + Quoted(*container.function);
  if (container.exit->out_of_memory) {
    message += " was killed for using more than limits.memory (" +
               std::to_string(container.MemoryLimit()) + " bytes)";
  } else if (container.exit->status > 128) {
    message += " was ended by signal " + std::to_string(container.exit->status - 128);
  } else {
    message += " exited with status " + std::to_string(container.exit->status);
  }
  if (container.Booting()) {
    message += " before it listened on port " + std::to_string(container.port);
  }
  return {Code::kFunctionFailed, message + container.log.Describe()};
}

void WarmPool::Impl::BecomeReady(const PoolContainerPtr& container) {
  container->state = ContainerState::kReady;
  container->idle_since = clock.Now();
  Value(*container);
  PoolSet& set = *container->set;
  HandOut(set);
  // Those who have waited too long look again.
  for (PoolWaiter* waiter : set.waiters) waiter->changed.Set();
  if (set.retired && set.waiters.empty()) {
    EndIdle(set);
    ForgetIfEmpty(set);
    return;
  }
  StartForWaiters(set);
  Maintain(set);
  ScheduleSweep(DueAt(*container));
  ScheduleMeasuring(200ms);
}

void WarmPool::Impl::BootFailed(const PoolContainerPtr& container, const Error& error) {
  PoolSet& set = *container->set;
  spdlog::warn("{}", error.message);
  NoteFailure(set, error);
  End(container);
  if (set.Ready() == 0) FailWaiters(set, error);
  Maintain(set);
  ForgetIfEmpty(set);
}

void WarmPool::Impl::NoteFailure(PoolSet& set, Error error) {
  ++set.failures;
  set.last_failure = clock.Now();
  set.last_error = std::move(error);
}

void WarmPool::Impl::StartLog(const PoolContainerPtr& container, UniqueFd log) {
  auto pipe = std::make_shared<asio::posix::stream_descriptor>(executor, log.Release());
  asio::co_spawn(executor, ReadLog(container, std::move(pipe)), asio::detached);
}

asio::awaitable<void> WarmPool::Impl::ReadLog(
    PoolContainerPtr container, std::shared_ptr<asio::posix::stream_descriptor> pipe) {
  const std::shared_ptr<Impl> self = shared_from_this();
  const std::function<void(std::string_view)> emit = [this, &container](std::string_view line) {
    if (events.log_line) events.log_line(*container->function, line);
  };
  std::vector<char> buffer(4096);
  size_t since_pause = 0;
  Event paused(executor);
  for (;;) {
    const auto [error, size] =
        co_await pipe->async_read_some(asio::buffer(buffer), asio::as_tuple(asio::use_awaitable));
    if (error) break;
    container->log.Add({buffer.data(), size}, emit);
    since_pause += size;
    if (since_pause >= kLogBytesPerPause) {
      since_pause = 0;
      co_await paused.WaitUntil(clock, clock.Now() + kLogPause);
    }
  }
  container->log.End(emit);
  container->log_ended = true;
  container->changed.Set();
}

}  // namespace hybridserve
