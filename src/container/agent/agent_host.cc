#include "container/agent/agent_host.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <deque>
#include <map>
#include <string>
#include <utility>

#include "container/agent/container_process.h"
#include "container/agent/wait_for_exit.h"
#include "container/event.h"

namespace hybridserve {

namespace asio = boost::asio;

namespace {

constexpr size_t kMaxSandboxes = 1024;
// After a held one was taken its function starts: the next one stays out of its way.
constexpr std::chrono::milliseconds kRefillDelay{500};
// A server that has just started asks for what it had before: the runtime is mostly there by then.
constexpr std::chrono::seconds kOpeningTime{2};
constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);

enum class State : uint8_t { kHeld, kStarting, kRunning, kEnding };

struct Entry {
  Entry(const asio::any_io_executor& executor, ContainerId own_id) : id(own_id), gone(executor) {}

  ContainerId id;
  State state = State::kHeld;
  bool doomed = false;     // To be destroyed once its start has ended.
  bool made = false;       // The maker may know of it.
  bool untouched = true;   // Nobody has a socket of its network.
  bool cleaning = false;   // CleanUp is under way.
  std::string label;
  Digest image;
  sandbox::NetworkNamespace network;
  ContainerProcess process;
  UniqueFd log;  // The read end, kept for a server that starts again.
  Event gone;
};
using EntryPtr = std::shared_ptr<Entry>;

Error NoSuch(ContainerId id) {
  return {Code::kNotFound, "there is no sandbox " + std::to_string(id.value)};
}

Error NotOpen() { return {Code::kUnavailable, "the container runtime is not there yet"}; }

UniqueFd Duplicate(const UniqueFd& fd) { return UniqueFd(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0)); }

}  // namespace

struct AgentHost::Impl : std::enable_shared_from_this<AgentHost::Impl> {
  Impl(asio::any_io_executor loop, std::unique_ptr<ContainerMaker> its_maker, uint32_t kept)
      : executor(std::move(loop)),
        maker(std::move(its_maker)),
        held(kept),
        pause(executor),
        refilled(executor),
        opening(executor) {
    opening.expires_after(kOpeningTime);
  }

  asio::any_io_executor executor;
  std::unique_ptr<ContainerMaker> maker;
  const uint32_t held;
  asio::steady_timer pause;
  Event refilled;
  asio::steady_timer opening;  // Ends when it is open, or has taken too long.
  std::map<uint64_t, EntryPtr> entries;
  std::deque<EntryPtr> ready;  // Held ahead; not in entries yet.
  std::function<void(const SandboxExit&)> on_exit;
  uint64_t next_id = 1;
  bool open = false;
  bool refilling = false;
  bool closed = false;

  EntryPtr Find(ContainerId id) const;
  EntryPtr NewEntry();
  Awaitable<> Adopt(RunningContainer survivor);
  Awaitable<> HoldNow(EntryPtr entry);
  Awaitable<UniqueFd> TryStart(EntryPtr entry, SandboxSpec spec);
  asio::awaitable<void> Watch(EntryPtr entry);
  Awaitable<> CleanUp(EntryPtr entry);
  void RefillSoon();
  asio::awaitable<void> Refill();
};

EntryPtr AgentHost::Impl::Find(ContainerId id) const {
  const auto found = entries.find(id.value);
  if (found == entries.end() || found->second->state == State::kEnding) return nullptr;
  return found->second;
}

EntryPtr AgentHost::Impl::NewEntry() {
  return std::make_shared<Entry>(executor, ContainerId{next_id++});
}

Awaitable<> AgentHost::Impl::Adopt(RunningContainer survivor) {
  const auto entry = std::make_shared<Entry>(executor, survivor.id);
  next_id = std::max(next_id, survivor.id.value + 1);
  entry->made = true;
  entry->label = std::move(survivor.label);
  entry->image = std::move(survivor.image);
  entry->log = std::move(survivor.log);
  entries.emplace(entry->id.value, entry);
  if (survivor.process) {
    entry->process = std::move(survivor.process);
    entry->state = State::kRunning;
    asio::co_spawn(executor, Watch(entry), asio::detached);
    co_return Result<>{};
  }
  entry->state = State::kEnding;
  Result<> cleaned = co_await CleanUp(entry);
  co_return cleaned;
}

Awaitable<> AgentHost::Impl::HoldNow(EntryPtr entry) {
  entry->made = true;
  CO_TRY_ASSIGN(entry->network, co_await maker->Hold(entry->id));
  co_return Result<>{};
}

Awaitable<UniqueFd> AgentHost::Impl::TryStart(EntryPtr entry, SandboxSpec spec) {
  if (spec.argv.empty()) co_return Fail(Code::kInvalidArgument, "no program was named");
  entry->made = true;
  entry->label = spec.label;
  entry->image = spec.image;
  CO_TRY_ASSIGN(RunningContainer started, co_await maker->Start(entry->id, std::move(spec),
                                                                entry->network, entry->untouched));
  // One that has ended already is told as an exit: it did start.
  entry->process = std::move(started.process);
  if (entry->doomed) co_return Fail(Code::kNotFound, "it was destroyed while it started");
  entry->log = Duplicate(started.log);
  if (!entry->log) co_return FailErrno("keep a container's log");
  co_return std::move(started.log);
}

// Until its first process ends.
asio::awaitable<void> AgentHost::Impl::Watch(EntryPtr entry) {
  const std::shared_ptr<Impl> self = shared_from_this();
  if (entry->process) co_await WaitForExit(executor, entry->process.pidfd());
  if (entry->state == State::kEnding) co_return;
  entry->state = State::kEnding;
  SandboxExit exit;
  exit.id = entry->id;
  exit.out_of_memory = entry->process && entry->process.OutOfMemory();
  const Result<int> status = co_await maker->ExitStatus(entry->id, entry->process.pidfd());
  exit.status = status.value_or(255);
  if (on_exit) on_exit(exit);
  const Result<> cleaned = co_await CleanUp(entry);
  if (!cleaned) {
    spdlog::warn("container {} is left over: {}", entry->id.value, cleaned.error().message);
  }
}

// Kills what is left of it; the entry stays when something could not be removed, for another try.
Awaitable<> AgentHost::Impl::CleanUp(EntryPtr entry) {
  const std::shared_ptr<Impl> self = shared_from_this();
  entry->cleaning = true;
  if (entry->process) {
    entry->process.Kill();
    co_await WaitForExit(executor, entry->process.pidfd());
    (void)co_await maker->ExitStatus(entry->id, entry->process.pidfd());
  }
  Result<> removed;
  if (entry->made) removed = co_await maker->Remove(entry->id);
  if (removed) entries.erase(entry->id.value);
  entry->cleaning = false;
  entry->gone.Set();
  co_return removed;
}

void AgentHost::Impl::RefillSoon() {
  if (refilling || !open || closed || !maker->HoldsAhead() || ready.size() >= held) return;
  refilling = true;
  asio::co_spawn(executor, Refill(), asio::detached);
}

asio::awaitable<void> AgentHost::Impl::Refill() {
  const std::shared_ptr<Impl> self = shared_from_this();
  pause.expires_after(kRefillDelay);
  co_await pause.async_wait(kTuple);
  while (!closed && ready.size() < held) {
    const EntryPtr entry = NewEntry();
    const Result<> made = co_await HoldNow(entry);
    if (!made) {
      spdlog::warn("a held sandbox could not be made: {}", made.error().message);
      (void)co_await maker->Remove(entry->id);
      break;
    }
    ready.push_back(entry);
  }
  refilling = false;
  refilled.Set();
}

AgentHost::AgentHost(asio::any_io_executor executor, std::unique_ptr<ContainerMaker> maker,
                     uint32_t held)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(maker), held)) {}

AgentHost::~AgentHost() {
  impl_->on_exit = nullptr;
  impl_->closed = true;
  impl_->pause.cancel();
  impl_->opening.cancel();
}

Awaitable<std::string> AgentHost::Open() {
  const std::shared_ptr<Impl> impl = impl_;
  CO_TRY_ASSIGN(std::string name, co_await impl->maker->Open());
  CO_TRY_ASSIGN(std::vector<RunningContainer> survivors, co_await impl->maker->Survivors());
  for (RunningContainer& survivor : survivors) {
    if (impl->entries.contains(survivor.id.value)) continue;
    const uint64_t id = survivor.id.value;
    const Result<> adopted = co_await impl->Adopt(std::move(survivor));
    if (!adopted) spdlog::warn("container {} is left over: {}", id, adopted.error().message);
  }
  impl->open = true;
  impl->opening.cancel();
  impl->RefillSoon();
  co_return name;
}

Awaitable<> AgentHost::PrepareImage(Digest image) {
  const std::shared_ptr<Impl> impl = impl_;
  Result<> prepared = co_await impl->maker->PrepareImage(std::move(image));
  co_return prepared;
}

Awaitable<> AgentHost::RemoveImage(Digest image) {
  const std::shared_ptr<Impl> impl = impl_;
  for (const auto& [id, entry] : impl->entries) {
    if (entry->image != image) continue;
    co_return Fail(Code::kConflict, "sandbox " + std::to_string(id) + " uses the image");
  }
  Result<> removed = co_await impl->maker->RemoveImage(std::move(image));
  co_return removed;
}

Awaitable<> AgentHost::Close() {
  const std::shared_ptr<Impl> impl = impl_;
  impl->closed = true;
  impl->pause.cancel();
  while (impl->refilling) co_await impl->refilled.Wait();
  while (!impl->ready.empty()) {
    const EntryPtr entry = impl->ready.front();
    impl->ready.pop_front();
    (void)co_await impl->maker->Remove(entry->id);
  }
  std::vector<ContainerId> held;
  for (const auto& [id, entry] : impl->entries) {
    if (entry->state == State::kHeld) held.push_back(entry->id);
  }
  for (const ContainerId id : held) (void)co_await DestroySandbox(id);
  Result<> closed = co_await impl->maker->Close();
  co_return closed;
}

void AgentHost::OnExit(std::function<void(const SandboxExit&)> handler) {
  impl_->on_exit = std::move(handler);
}

Awaitable<ContainerId> AgentHost::CreateSandbox() {
  const std::shared_ptr<Impl> impl = impl_;
  if (!impl->open) co_return tl::unexpected(NotOpen());
  if (impl->entries.size() >= kMaxSandboxes) {
    co_return Fail(Code::kUnavailable,
                   "there are " + std::to_string(kMaxSandboxes) + " sandboxes already");
  }
  EntryPtr entry;
  if (!impl->ready.empty()) {
    entry = impl->ready.front();
    impl->ready.pop_front();
  } else {
    entry = impl->NewEntry();
    if (!impl->maker->HoldsAhead()) CO_TRY(co_await impl->HoldNow(entry));
  }
  impl->entries.emplace(entry->id.value, entry);
  impl->RefillSoon();
  co_return entry->id;
}

Awaitable<UniqueFd> AgentHost::StartSandbox(ContainerId id, SandboxSpec spec) {
  const std::shared_ptr<Impl> impl = impl_;
  const EntryPtr entry = impl->Find(id);
  if (!entry) co_return tl::unexpected(NoSuch(id));
  if (entry->state != State::kHeld) {
    co_return Fail(Code::kConflict, "sandbox " + std::to_string(id.value) + " was started already");
  }
  entry->state = State::kStarting;
  Result<UniqueFd> log = co_await impl->TryStart(entry, std::move(spec));
  if (log) {
    entry->state = State::kRunning;
    asio::co_spawn(impl->executor, impl->Watch(entry), asio::detached);
    co_return log;
  }
  entry->state = State::kEnding;
  const Result<> cleaned = co_await impl->CleanUp(entry);
  if (!cleaned) spdlog::warn("container {} is left over: {}", id.value, cleaned.error().message);
  co_return log;
}

Awaitable<std::vector<UniqueFd>> AgentHost::MakeSockets(ContainerId id, uint32_t count) {
  const EntryPtr entry = impl_->Find(id);
  if (!entry) co_return tl::unexpected(NoSuch(id));
  entry->untouched = false;
  if (entry->process) co_return entry->process.MakeSockets(count);
  if (!entry->network) co_return Fail(Code::kConflict, "the sandbox has no network yet");
  co_return entry->network.MakeSockets(count);
}

Awaitable<UniqueFd> AgentHost::MakeListener(ContainerId id, uint16_t port) {
  const std::shared_ptr<Impl> impl = impl_;
  const EntryPtr entry = impl->Find(id);
  if (!entry) co_return tl::unexpected(NoSuch(id));
  entry->untouched = false;
  if (entry->process) co_return entry->process.MakeListener(port);
  if (!entry->network) CO_TRY(co_await impl->HoldNow(entry));
  co_return entry->network.MakeListener(port);
}

Awaitable<> AgentHost::FreezeSandbox(ContainerId id) {
  const EntryPtr entry = impl_->Find(id);
  if (!entry) co_return tl::unexpected(NoSuch(id));
  if (entry->state != State::kRunning) {
    co_return Fail(Code::kConflict, "sandbox " + std::to_string(id.value) + " does not run");
  }
  co_return entry->process.Freeze();
}

Awaitable<> AgentHost::ThawSandbox(ContainerId id) {
  const EntryPtr entry = impl_->Find(id);
  if (!entry) co_return tl::unexpected(NoSuch(id));
  co_return entry->process ? entry->process.Thaw() : Result<>();
}

Awaitable<> AgentHost::SettleSandbox(ContainerId id) {
  const EntryPtr entry = impl_->Find(id);
  if (!entry) co_return tl::unexpected(NoSuch(id));
  co_return entry->process ? entry->process.SetWeight(kSettledWeightPercent) : Result<>();
}

Awaitable<SandboxUsage> AgentHost::Stats(ContainerId id) {
  const EntryPtr entry = impl_->Find(id);
  if (!entry) co_return tl::unexpected(NoSuch(id));
  if (!entry->process) co_return SandboxUsage{};
  co_return entry->process.Usage();
}

Awaitable<> AgentHost::DestroySandbox(ContainerId id) {
  const std::shared_ptr<Impl> impl = impl_;
  const auto found = impl->entries.find(id.value);
  if (found == impl->entries.end()) co_return Result<>{};
  const EntryPtr entry = found->second;
  if (entry->state == State::kStarting) entry->doomed = true;
  // A start ends it by itself, and so does the end of its program.
  while (entry->state == State::kStarting || entry->cleaning) co_await entry->gone.Wait();
  if (!impl->entries.contains(id.value)) co_return Result<>{};
  entry->state = State::kEnding;
  Result<> cleaned = co_await impl->CleanUp(entry);
  co_return cleaned;
}

Awaitable<std::vector<AdoptedSandbox>> AgentHost::List() {
  const std::shared_ptr<Impl> impl = impl_;
  if (!impl->open) co_await impl->opening.async_wait(kTuple);
  if (!impl->open) co_return tl::unexpected(NotOpen());
  std::vector<AdoptedSandbox> all;
  for (const auto& [id, entry] : impl->entries) {
    if (entry->state != State::kRunning) continue;
    AdoptedSandbox one;
    one.id = entry->id;
    one.label = entry->label;
    one.log = Duplicate(entry->log);
    all.push_back(std::move(one));
  }
  co_return all;
}

}  // namespace hybridserve
