#include "router/deadline.h"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>
#include <optional>
#include <utility>

#include "container/event.h"

namespace hybridserve {

namespace asio = boost::asio;

namespace {

Awaitable<> Quietly(Awaitable<> work) {
  co_await asio::this_coro::throw_if_cancelled(false);
  Result<> result = co_await std::move(work);
  co_return result;
}

}  // namespace

Awaitable<> RunUntil(asio::any_io_executor executor, Clock& clock, Clock::TimePoint deadline,
                     Awaitable<> work) {
  std::optional<Result<>> result;
  bool late = false;
  bool left = false;
  Event ended(executor);
  asio::cancellation_signal stop;
  const Clock::Ticket ticket = clock.At(deadline, [&late, &stop] {
    late = true;
    stop.emit(asio::cancellation_type::terminal);
  });
  asio::co_spawn(executor, Quietly(std::move(work)),
                 asio::bind_cancellation_slot(
                     stop.slot(), [&result, &ended](std::exception_ptr error, Result<> value) {
                       // It throws only when it was cancelled before it began.
                       if (error) value = Fail(Code::kCancelled, "it was cancelled");
                       result = std::move(value);
                       ended.Set();
                     }));
  while (!result) {
    // Before the wait, too: what was cancelled earlier wakes nobody again.
    const asio::cancellation_state state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none && !std::exchange(left, true)) {
      stop.emit(asio::cancellation_type::terminal);
    }
    if (!result) co_await ended.Wait();
  }
  const bool cancelled = !*result && result->error().code == Code::kCancelled;
  if (cancelled && late && !left) {
    co_return Fail(Code::kTimeout, "run timeout: nothing is left of limits.run_timeout");
  }
  co_return std::move(*result);
}

}  // namespace hybridserve
