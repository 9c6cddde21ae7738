// AsyncLock: one coroutine at a time between Lock and the guard's end, in the order of asking.
//
// Thread rule: the event loop's thread only. Outlives every waiter and guard.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <utility>

namespace hybridserve {

class AsyncLock {
 public:
  /// Holds the lock until destroyed.
  class Guard {
   public:
    explicit Guard(AsyncLock* lock) : lock_(lock) {}
    Guard(Guard&& other) noexcept : lock_(std::exchange(other.lock_, nullptr)) {}
    Guard& operator=(Guard&&) = delete;
    ~Guard() {
      if (lock_ != nullptr) lock_->Unlock();
    }

   private:
    AsyncLock* lock_;
  };

  explicit AsyncLock(boost::asio::any_io_executor executor) : executor_(std::move(executor)) {}
  AsyncLock(const AsyncLock&) = delete;
  AsyncLock& operator=(const AsyncLock&) = delete;

  [[nodiscard]] boost::asio::awaitable<Guard> Lock();

 private:
  void Unlock();

  boost::asio::any_io_executor executor_;
  bool held_ = false;
  std::deque<boost::asio::steady_timer*> waiters_;  // Each on its coroutine's frame.
};

}  // namespace hybridserve
