// Event: what coroutines wait for and others set. A Set wakes all who wait; when nobody does, it is
// kept for the next one.
//
// Thread rule: the event loop's thread only. Outlives its waiters.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "container/clock.h"

namespace hybridserve {

class Event {
 public:
  explicit Event(const boost::asio::any_io_executor& executor)
      : timer_(executor, boost::asio::steady_timer::time_point::max()) {}

  /// Ends the wait, or the next one when nobody waits.
  void Set() {
    set_ = true;
    timer_.cancel();
  }

  /// Returns once set, and takes the setting back. Returns early when the coroutine is cancelled:
  /// callers look at what they wait for, in a loop.
  boost::asio::awaitable<void> Wait() {
    if (!set_) co_await timer_.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
    set_ = false;
  }

  /// The same, until `deadline` at the latest.
  boost::asio::awaitable<void> WaitUntil(Clock& clock, Clock::TimePoint deadline) {
    const Clock::Ticket ticket = clock.At(deadline, [this] { Set(); });
    co_await Wait();
  }

 private:
  boost::asio::steady_timer timer_;
  bool set_ = false;
};

}  // namespace hybridserve
