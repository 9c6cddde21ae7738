// TestLoop: an event loop for tests whose time stands still: it runs what can run and returns.
//
// Thread rule: one thread.
#pragma once

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>

#include "base/awaitable.h"

namespace hybridserve {

class TestLoop {
 public:
  /// One coroutine under way.
  template <typename T>
  class Task {
   public:
    [[nodiscard]] bool done() const { return state_->result.has_value(); }
    /// Its result; only once done.
    T& result() { return state_->result.value(); }
    void Cancel() { state_->cancel.emit(boost::asio::cancellation_type::terminal); }

   private:
    friend class TestLoop;
    struct State {
      std::optional<T> result;
      boost::asio::cancellation_signal cancel;
    };
    // Shared with the coroutine's completion.
    std::shared_ptr<State> state_ = std::make_shared<State>();
  };

  boost::asio::io_context io;
  [[nodiscard]] boost::asio::any_io_executor executor() { return io.get_executor(); }

  /// Runs until nothing is left that could run now.
  void Settle() {
    do {
      io.restart();
    } while (io.poll() > 0);
  }

  /// Runs until `done` says so; for what other threads, processes or the real time bring. Throws
  /// after `limit`.
  void RunUntil(const std::function<bool()>& done,
                std::chrono::milliseconds limit = std::chrono::seconds(20)) {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (!done()) {
      if (std::chrono::steady_clock::now() > end) throw std::runtime_error("waited too long");
      io.restart();
      io.run_one_for(std::chrono::milliseconds(50));
    }
  }

  /// Starts a coroutine and runs it as far as it comes.
  template <typename T>
  Task<T> Start(boost::asio::awaitable<T> work) {
    Task<T> task;
    boost::asio::co_spawn(
        io, std::move(work),
        boost::asio::bind_cancellation_slot(
            task.state_->cancel.slot(), [state = task.state_](std::exception_ptr error, T value) {
              if (error) std::rethrow_exception(error);
              state->result.emplace(std::move(value));
            }));
    Settle();
    return task;
  }

  /// Runs a coroutine that ends without the time moving.
  template <typename T>
  T Run(boost::asio::awaitable<T> work) {
    Task<T> task = Start(std::move(work));
    if (!task.done()) throw std::runtime_error("the coroutine waits for something");
    return std::move(task.result());
  }

  /// Runs a coroutine that takes real time.
  template <typename T>
  T Await(boost::asio::awaitable<T> work) {
    Task<T> task = Start(std::move(work));
    RunUntil([&task] { return task.done(); });
    return std::move(task.result());
  }
};

}  // namespace hybridserve
