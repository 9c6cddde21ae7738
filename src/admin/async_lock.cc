#include "admin/async_lock.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace hybridserve {

namespace asio = boost::asio;

asio::awaitable<AsyncLock::Guard> AsyncLock::Lock() {
  if (!held_) {
    held_ = true;
    co_return Guard(this);
  }
  asio::steady_timer turn(executor_, asio::steady_timer::time_point::max());
  waiters_.push_back(&turn);
  // Ends when Unlock cancels it; the lock is this coroutine's then and was never free.
  co_await turn.async_wait(asio::as_tuple(asio::use_awaitable));
  co_return Guard(this);
}

void AsyncLock::Unlock() {
  if (waiters_.empty()) {
    held_ = false;
    return;
  }
  asio::steady_timer* next = waiters_.front();
  waiters_.pop_front();
  next->cancel();
}

}  // namespace hybridserve
