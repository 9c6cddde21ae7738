// Wakeup: coroutines wait for something that happens once.
//
// Thread rule: the event loop's thread only. Outlives those who wait: keep it in a shared_ptr that
// each of them holds.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace hybridserve {

class Wakeup {
 public:
  explicit Wakeup(const boost::asio::any_io_executor& executor)
      : timer_(executor, boost::asio::steady_timer::time_point::max()) {}

  void Fire() {
    fired_ = true;
    timer_.cancel();
  }
  [[nodiscard]] bool fired() const { return fired_; }

  /// Returns when it has been fired, or when the waiting coroutine is cancelled.
  boost::asio::awaitable<void> Wait() {
    if (fired_) co_return;
    co_await timer_.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
  }

 private:
  boost::asio::steady_timer timer_;
  bool fired_ = false;
};

}  // namespace hybridserve
