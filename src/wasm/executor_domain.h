// ExecutorDomain: the one executor of a trust domain, kept running.
//
// An executor that ends is started again at once; one that keeps ending soon after its start is
// started again more and more slowly.
//
// Thread rule: the event loop's thread only.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <memory>
#include <string>

#include "base/awaitable.h"
#include "wasm/executor_link.h"
#include "wasm/executor_pool.h"
#include "wasm/wakeup.h"

namespace hybridserve {

class ExecutorDomain : public std::enable_shared_from_this<ExecutorDomain> {
 public:
  /// `host` and `events` outlive it, or Stop() was called.
  ExecutorDomain(boost::asio::any_io_executor executor, ExecutorSpec spec, ExecutorHost& host,
                 const ExecutorPoolEvents& events);

  /// The running executor, or nullptr.
  [[nodiscard]] const std::shared_ptr<ExecutorLink>& link() const { return link_; }
  /// The running executor, started if need be. Errors: kUnavailable why it cannot be started now;
  /// kCancelled.
  Awaitable<std::shared_ptr<ExecutorLink>> Get();
  /// Ends the executor and starts no other.
  void Stop();
  /// The launcher's word about how a process ended; ends the link when it is this one's.
  void OnExited(ExecutorId id, int status);

 private:
  struct Attempt {
    explicit Attempt(const boost::asio::any_io_executor& executor) : done(executor) {}
    Wakeup done;
    Result<> result;
  };

  std::shared_ptr<Attempt> Begin();
  boost::asio::awaitable<void> Run(std::shared_ptr<ExecutorDomain> self,
                                   std::shared_ptr<Attempt> attempt);
  boost::asio::awaitable<void> Kill(std::shared_ptr<ExecutorDomain> self, ExecutorId id);
  void OnEnd(ExecutorLink& link, std::string_view why);

  boost::asio::any_io_executor executor_;
  ExecutorSpec spec_;
  ExecutorHost& host_;
  const ExecutorPoolEvents& events_;
  std::shared_ptr<ExecutorLink> link_;
  std::shared_ptr<Attempt> attempt_;
  std::chrono::steady_clock::time_point started_at_;
  std::chrono::milliseconds pause_{0};  // Before the next start.
  bool stopped_ = false;
};

}  // namespace hybridserve
