// Slots: how one request uses one container.
#include <boost/asio/this_coro.hpp>
#include <utility>

#include "container/forward.h"
#include "container/pool_state.h"

namespace hybridserve {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

// A connection that breaks is noticed before the exit that broke it is heard of.
constexpr auto kExitNews = 50ms;
// One broken connection may be one bad request's doing.
constexpr uint32_t kLossesInRow = 2;

class PoolSlot : public ContainerPool::Slot {
 public:
  PoolSlot(std::shared_ptr<WarmPool::Impl> pool, PoolContainerPtr container)
      : pool_(std::move(pool)), container_(std::move(container)) {}
  ~PoolSlot() override { pool_->Release(container_); }
  PoolSlot(const PoolSlot&) = delete;
  PoolSlot& operator=(const PoolSlot&) = delete;

  Awaitable<ForwardResult> Forward(Exchange& exchange, AddHeaders add_headers) override;

 private:
  enum class From : uint8_t { kKept, kFresh };
  Awaitable<std::unique_ptr<Connection>> TakeConnection(From from);
  void NoteAnswer();
  Awaitable<ForwardResult> DescribeLoss(Error error, From from);

  // Shared with the pool; a slot may outlive it.
  std::shared_ptr<WarmPool::Impl> pool_;
  PoolContainerPtr container_;
};

Awaitable<ForwardResult> PoolSlot::Forward(Exchange& exchange, AddHeaders add_headers) {
  co_await asio::this_coro::throw_if_cancelled(false);
  Forwarder forwarder(pool_->executor, pool_->clock, exchange,
                      container_->function->manifest.limits.run_timeout, add_headers);
  From from = From::kKept;
  for (;;) {
    Result<std::unique_ptr<Connection>> connection = co_await TakeConnection(from);
    if (!connection && from == From::kKept) co_return tl::unexpected(std::move(connection.error()));
    if (!connection) {
      // The request was sent before: it did not only fail to arrive.
      Error died{Code::kBackendDied, "the container closed the connection before it answered, and: " +
                                         connection.error().message};
      Result<ForwardResult> described = co_await DescribeLoss(std::move(died), From::kKept);
      co_return described;
    }
    Forwarder::Outcome outcome = co_await forwarder.Run(**connection);
    if (outcome.stale && from == From::kKept) {
      // The others were most likely closed with it.
      container_->idle.clear();
      from = From::kFresh;
      continue;
    }
    if (outcome.reusable && container_->state == ContainerState::kReady) {
      container_->idle.push_back(std::move(*connection));
    }
    if (outcome.overran) container_->broken = true;  // What it runs on with ends with it.
    if (outcome.result) {
      NoteAnswer();
    } else if (outcome.lost) {
      if (++container_->losses >= kLossesInRow) container_->broken = true;
      Error error = std::move(outcome.result.error());
      Result<ForwardResult> described = co_await DescribeLoss(std::move(error), from);
      co_return described;
    }
    co_return std::move(outcome.result);
  }
}

Awaitable<std::unique_ptr<Connection>> PoolSlot::TakeConnection(From from) {
  while (from == From::kKept && !container_->idle.empty()) {
    std::unique_ptr<Connection> connection = std::move(container_->idle.back());
    container_->idle.pop_back();
    if (connection->IdleAndOpen()) co_return connection;
  }
  if (container_->state != ContainerState::kReady) {
    co_return Fail(Code::kUnavailable, "the container has ended");
  }
  Result<UniqueFd> stream = co_await pool_->runtime.Connect(container_->id);
  if (!stream) {
    // It listened once: something is wrong with it.
    container_->broken = true;
    co_return Fail(Code::kUnavailable, "no connection to the container: " + stream.error().message);
  }
  co_return std::make_unique<Connection>(pool_->executor, std::move(*stream));
}

void PoolSlot::NoteAnswer() {
  container_->losses = 0;
  if (std::exchange(container_->answered, true) || container_->set == nullptr) return;
  container_->set->failures = 0;
  container_->set->last_failure.reset();
}

// Waits a moment for the container's exit, which tells more than a broken connection does. A
// container that lives on and has closed a second connection on the same request does so on purpose.
Awaitable<ForwardResult> PoolSlot::DescribeLoss(Error error, From from) {
  const Clock::TimePoint until = pool_->clock.Now() + kExitNews;
  while (!container_->exit && pool_->clock.Now() < until) {
    co_await container_->changed.WaitUntil(pool_->clock, until);
    const asio::cancellation_state state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) break;
  }
  const bool over_limit = container_->exit && container_->exit->out_of_memory;
  const bool on_purpose = !container_->exit && from == From::kFresh;
  if (over_limit || on_purpose) error.code = Code::kFunctionFailed;
  if (container_->exit) error.message += ": " + pool_->ExitError(*container_).message;
  co_return tl::unexpected(std::move(error));
}

}  // namespace

std::unique_ptr<ContainerPool::Slot> MakeSlot(std::shared_ptr<WarmPool::Impl> pool,
                                              PoolContainerPtr container) {
  return std::make_unique<PoolSlot>(std::move(pool), std::move(container));
}

}  // namespace hybridserve
