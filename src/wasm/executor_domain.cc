#include "wasm/executor_domain.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

namespace hybridserve {

namespace asio = boost::asio;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

// An executor that lived this long was well: the next one is started without a pause.
constexpr milliseconds kHealthyAfter{1000};
constexpr milliseconds kFirstPause{10};
constexpr milliseconds kLongestPause{5000};

std::string HowItEnded(int status) {
  if (status > 128) return "signal " + std::to_string(status - 128) + " ended it";
  return "it exited with status " + std::to_string(status);
}

}  // namespace

ExecutorDomain::ExecutorDomain(asio::any_io_executor executor, ExecutorSpec spec,
                               ExecutorHost& host, const ExecutorPoolEvents& events)
    : executor_(std::move(executor)), spec_(std::move(spec)), host_(host), events_(events) {}

Awaitable<std::shared_ptr<ExecutorLink>> ExecutorDomain::Get() {
  if (link_) co_return link_;
  const std::shared_ptr<Attempt> attempt = Begin();
  co_await attempt->done.Wait();
  if (!attempt->done.fired()) co_return Fail(Code::kCancelled, "the caller went away");
  if (!attempt->result) co_return tl::unexpected<Error>(attempt->result.error());
  if (!link_) co_return Fail(Code::kUnavailable, "the executor ended as soon as it was started");
  co_return link_;
}

std::shared_ptr<ExecutorDomain::Attempt> ExecutorDomain::Begin() {
  if (attempt_) return attempt_;
  // Kept here too: it may be over by the time co_spawn returns.
  const auto attempt = std::make_shared<Attempt>(executor_);
  attempt_ = attempt;
  asio::co_spawn(executor_, Run(shared_from_this(), attempt), asio::detached);
  return attempt;
}

asio::awaitable<void> ExecutorDomain::Run(std::shared_ptr<ExecutorDomain> self,
                                          std::shared_ptr<Attempt> attempt) {
  if (self->pause_.count() != 0) {
    asio::steady_timer timer(self->executor_, self->pause_);
    co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
  }
  self->started_at_ = steady_clock::now();
  // Taken back in OnEnd once an executor has lived for a while.
  self->pause_ = std::clamp(self->pause_ * 2, kFirstPause, kLongestPause);
  Result<StartedExecutor> started = Fail(Code::kUnavailable, "the node is stopping");
  if (!self->stopped_) started = co_await self->host_.StartExecutor(self->spec_);
  self->attempt_.reset();
  if (!started) {
    attempt->result =
        Fail(Code::kUnavailable, "cannot start the Wasm executor: " + started.error().message);
  } else if (!self->stopped_) {
    self->link_ = std::make_shared<ExecutorLink>(
        self->executor_, std::move(*started),
        [self](ExecutorLink& link, std::string_view why) { self->OnEnd(link, why); });
    self->link_->Start();
  }
  attempt->done.Fire();
}

void ExecutorDomain::OnEnd(ExecutorLink& link, std::string_view why) {
  const bool current = link_.get() == &link;
  if (current) link_.reset();
  if (stopped_) return;
  // It may have closed its socket and still be there.
  asio::co_spawn(executor_, Kill(shared_from_this(), link.id()), asio::detached);
  if (!current) return;
  if (steady_clock::now() - started_at_ >= kHealthyAfter) pause_ = milliseconds(0);
  if (events_.executor_died) events_.executor_died(spec_.domain, why);
  Begin();
}

asio::awaitable<void> ExecutorDomain::Kill(std::shared_ptr<ExecutorDomain> self, ExecutorId id) {
  // An error means that it is gone already.
  (void)co_await self->host_.KillExecutor(id);
}

void ExecutorDomain::Stop() {
  stopped_ = true;
  if (const std::shared_ptr<ExecutorLink> link = std::exchange(link_, nullptr)) {
    link->End("the node is stopping");
  }
}

void ExecutorDomain::OnExited(ExecutorId id, int status) {
  if (link_ && link_->id() == id) link_->End(HowItEnded(status));
}

}  // namespace hybridserve
