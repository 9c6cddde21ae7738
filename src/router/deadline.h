// RunUntil: work that has what is left of a run timeout.
//
// Thread rule: the event loop's thread only.
#pragma once

#include <boost/asio/any_io_executor.hpp>

#include "base/awaitable.h"
#include "container/clock.h"

namespace hybridserve {

/// Runs `work` to its end, and cancels it once `deadline` has come or the awaiting coroutine is
/// cancelled; returns only when it has ended. Errors: those of `work`; kTimeout in place of
/// kCancelled when it was the deadline. `clock` outlives the call.
Awaitable<> RunUntil(boost::asio::any_io_executor executor, Clock& clock,
                     Clock::TimePoint deadline, Awaitable<> work);

}  // namespace hybridserve
