// ControlThread: the server's one thread for work that waits for the disk (SQLite, syncs, hashing),
// so that the event loop never does.
//
// Jobs run one at a time, in the order of Run; the coroutines that wait for them go on, on their
// own executor, in that order too.
//
// Thread rule: Run belongs to the event loop's thread. Destroy it before the event loop: the
// destructor waits for the jobs that were begun.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace hybridserve {

class ControlThread {
 public:
  ControlThread();
  ~ControlThread();
  ControlThread(const ControlThread&) = delete;
  ControlThread& operator=(const ControlThread&) = delete;

  /// Runs `work()` on the thread and returns what it returned. `work` throws nothing and touches
  /// only what outlives the call.
  template <typename Work>
  boost::asio::awaitable<std::invoke_result_t<Work&>> Run(Work work) {
    std::optional<std::invoke_result_t<Work&>> result;
    std::function<void()> job = [&result, &work] { result.emplace(work()); };
    co_await RunJob(std::move(job));
    co_return std::move(*result);
  }

 private:
  boost::asio::awaitable<void> RunJob(std::function<void()> job);

  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hybridserve
