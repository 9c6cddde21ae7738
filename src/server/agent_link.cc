#include "server/agent_link.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

namespace hybridserve {

namespace asio = boost::asio;

namespace {

constexpr std::chrono::milliseconds kFirstDelay{100};
constexpr std::chrono::milliseconds kLastDelay{10'000};
// Of a container that ended while nobody could see how.
constexpr int kUnknownStatus = 255;

}  // namespace

struct AgentLink::Impl : std::enable_shared_from_this<AgentLink::Impl> {
  Impl(asio::any_io_executor the_executor, LauncherClient& the_launcher, std::string the_runtime,
       std::function<void(const SandboxExit&)> the_on_exit)
      : executor(std::move(the_executor)),
        launcher(the_launcher),
        runtime(std::move(the_runtime)),
        on_exit(std::move(the_on_exit)),
        pause(executor) {}

  asio::any_io_executor executor;
  LauncherClient& launcher;
  std::string runtime;
  std::function<void(const SandboxExit&)> on_exit;
  std::shared_ptr<LauncherClient> agent;  // Shared with calls under way. nullptr: being started.
  std::set<ContainerId> running;          // Started, and no end was heard of.
  asio::steady_timer pause;
  bool closed = false;

  Awaitable<> Open();
  void OnGone();
  asio::awaitable<void> OpenAgain();
  Awaitable<> FindEnded();
  void Ended(const SandboxExit& exit);

  [[nodiscard]] Result<std::shared_ptr<LauncherClient>> Agent() const {
    if (agent) return agent;
    return Fail(Code::kUnavailable, "the agent of " + runtime + " is being started again");
  }
};

Awaitable<> AgentLink::Impl::Open() {
  const std::shared_ptr<Impl> self = shared_from_this();
  CO_TRY_ASSIGN(UniqueFd socket, co_await launcher.OpenAgent());
  if (closed) co_return Fail(Code::kCancelled, "the node is shutting down");
  LauncherClient::Events events;
  events.peer = "agent of " + runtime;
  events.sandbox_exited = [this](const SandboxExit& exit) { Ended(exit); };
  events.launcher_gone = [this] { OnGone(); };
  agent = std::make_shared<LauncherClient>(executor, std::move(socket), std::move(events));
  co_return Result<>{};
}

void AgentLink::Impl::Ended(const SandboxExit& exit) {
  if (running.erase(exit.id) > 0) on_exit(exit);
}

void AgentLink::Impl::OnGone() {
  if (closed || !agent) return;
  spdlog::warn("the agent of {} has ended; starting another", runtime);
  // Calls under way still hold it.
  asio::co_spawn(executor, OpenAgain(), asio::detached);
}

asio::awaitable<void> AgentLink::Impl::OpenAgain() {
  const std::shared_ptr<Impl> self = shared_from_this();
  agent.reset();
  std::chrono::milliseconds delay = kFirstDelay;
  while (!closed) {
    pause.expires_after(delay);
    (void)co_await pause.async_wait(asio::as_tuple(asio::use_awaitable));
    delay = std::min(delay * 2, kLastDelay);
    if (closed) co_return;
    Result<> opened;
    if (!agent) opened = co_await Open();
    if (opened) opened = co_await FindEnded();
    if (opened) co_return;
    // Gone again: the call that found out is followed by this loop's next turn.
    spdlog::warn("cannot reach the containers of {} yet: {}", runtime, opened.error().message);
  }
}

// Tells the end of those that ended while there was no agent.
Awaitable<> AgentLink::Impl::FindEnded() {
  const std::shared_ptr<LauncherClient> asked = agent;
  if (!asked) co_return Fail(Code::kUnavailable, "the agent has ended again");
  const std::set<ContainerId> before = running;
  CO_TRY_ASSIGN(const std::vector<AdoptedSandbox> there, co_await asked->List());
  std::set<ContainerId> living;
  for (const AdoptedSandbox& one : there) living.insert(one.id);
  for (const ContainerId id : before) {
    if (!living.contains(id)) Ended({id, kUnknownStatus, false});
  }
  co_return Result<>{};
}

AgentLink::AgentLink(asio::any_io_executor executor, LauncherClient& launcher, std::string runtime,
                     std::function<void(const SandboxExit&)> on_exit)
    : impl_(std::make_shared<Impl>(std::move(executor), launcher, std::move(runtime),
                                   std::move(on_exit))) {}

AgentLink::~AgentLink() {
  impl_->closed = true;
  impl_->pause.cancel();
  impl_->agent.reset();
}

Awaitable<> AgentLink::Open() {
  Result<> opened = co_await impl_->Open();
  co_return opened;
}

Awaitable<> AgentLink::PrepareImage(Digest image) {
  CO_TRY_ASSIGN(const std::shared_ptr<LauncherClient> agent, impl_->Agent());
  Result<> prepared = co_await agent->PrepareImage(std::move(image));
  co_return prepared;
}

Awaitable<> AgentLink::RemoveImage(Digest image) {
  CO_TRY_ASSIGN(const std::shared_ptr<LauncherClient> agent, impl_->Agent());
  Result<> removed = co_await agent->RemoveImage(std::move(image));
  co_return removed;
}

Awaitable<ContainerId> AgentLink::CreateSandbox() {
  CO_TRY_ASSIGN(const std::shared_ptr<LauncherClient> agent, impl_->Agent());
  Result<ContainerId> id = co_await agent->CreateSandbox();
  co_return id;
}

Awaitable<UniqueFd> AgentLink::StartSandbox(ContainerId id, SandboxSpec spec) {
  const std::shared_ptr<Impl> impl = impl_;
  CO_TRY_ASSIGN(const std::shared_ptr<LauncherClient> agent, impl->Agent());
  // Before the agent is asked: the program's end may be heard of before its start is.
  impl->running.insert(id);
  Result<UniqueFd> log = co_await agent->StartSandbox(id, std::move(spec));
  // One that is running is not started again: another call holds it.
  if (!log && log.error().code != Code::kConflict) impl->running.erase(id);
  co_return log;
}

Awaitable<std::vector<UniqueFd>> AgentLink::MakeSockets(ContainerId id, uint32_t count) {
  CO_TRY_ASSIGN(const std::shared_ptr<LauncherClient> agent, impl_->Agent());
  Result<std::vector<UniqueFd>> sockets = co_await agent->MakeSockets(id, count);
  co_return sockets;
}

Awaitable<UniqueFd> AgentLink::MakeListener(ContainerId id, uint16_t port) {
  CO_TRY_ASSIGN(const std::shared_ptr<LauncherClient> agent, impl_->Agent());
  Result<UniqueFd> listener = co_await agent->MakeListener(id, port);
  co_return listener;
}

Awaitable<> AgentLink::FreezeSandbox(ContainerId id) {
  CO_TRY_ASSIGN(const std::shared_ptr<LauncherClient> agent, impl_->Agent());
  Result<> frozen = co_await agent->FreezeSandbox(id);
  co_return frozen;
}

Awaitable<> AgentLink::ThawSandbox(ContainerId id) {
  CO_TRY_ASSIGN(const std::shared_ptr<LauncherClient> agent, impl_->Agent());
  Result<> thawed = co_await agent->ThawSandbox(id);
  co_return thawed;
}

Awaitable<> AgentLink::SettleSandbox(ContainerId id) {
  CO_TRY_ASSIGN(const std::shared_ptr<LauncherClient> agent, impl_->Agent());
  Result<> settled = co_await agent->SettleSandbox(id);
  co_return settled;
}

Awaitable<SandboxUsage> AgentLink::Stats(ContainerId id) {
  CO_TRY_ASSIGN(const std::shared_ptr<LauncherClient> agent, impl_->Agent());
  Result<SandboxUsage> usage = co_await agent->Stats(id);
  co_return usage;
}

Awaitable<> AgentLink::DestroySandbox(ContainerId id) {
  const std::shared_ptr<Impl> impl = impl_;
  CO_TRY_ASSIGN(const std::shared_ptr<LauncherClient> agent, impl->Agent());
  impl->running.erase(id);
  Result<> destroyed = co_await agent->DestroySandbox(id);
  co_return destroyed;
}

Awaitable<std::vector<AdoptedSandbox>> AgentLink::List() {
  const std::shared_ptr<Impl> impl = impl_;
  CO_TRY_ASSIGN(const std::shared_ptr<LauncherClient> agent, impl->Agent());
  CO_TRY_ASSIGN(std::vector<AdoptedSandbox> all, co_await agent->List());
  for (const AdoptedSandbox& one : all) {
    if (!one.label.empty()) impl->running.insert(one.id);
  }
  co_return all;
}

}  // namespace hybridserve
