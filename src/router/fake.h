// Fakes of what stands around the router, for tests: an exchange in memory, a pool of containers
// that exist only as numbers, and helpers to run coroutines.
//
// Thread rule: the event loop's thread only.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "container/pool.h"
#include "function/deployed.h"
#include "function/exchange.h"

namespace hybridserve {

/// A whole request and its answer in memory.
class MemoryExchange : public Exchange {
 public:
  MemoryExchange() { head_.method = "GET"; }
  /// With a body that arrives in these pieces; `announced`: with Content-Length.
  MemoryExchange(std::vector<std::string> pieces, bool announced);

  RequestHead& mutable_head() { return head_; }

  [[nodiscard]] const RequestHead& head() const override { return head_; }
  Awaitable<std::string_view> ReadBody() override;
  void LimitBody(uint64_t bytes) override { limit_ = bytes; }
  void Annotate(const ServedBy& served_by) override { served_by_ = served_by; }
  Awaitable<> Send(ResponseHead head, std::string_view body) override;
  Awaitable<> Begin(ResponseHead head, std::optional<uint64_t> content_length) override;
  Awaitable<> Write(std::string_view piece) override;
  Awaitable<> End() override;
  [[nodiscard]] bool answered() const override { return status_ != 0; }

  [[nodiscard]] int status() const { return status_; }  ///< 0: not answered.
  [[nodiscard]] const std::string& answer() const { return answer_; }
  [[nodiscard]] const std::vector<Header>& answer_headers() const { return answer_headers_; }
  [[nodiscard]] const std::optional<ServedBy>& served_by() const { return served_by_; }
  [[nodiscard]] bool ended() const { return ended_; }

 private:
  RequestHead head_;
  std::deque<std::string> pieces_;
  std::string current_;
  uint64_t limit_ = UINT64_MAX;
  uint64_t read_ = 0;
  std::optional<ServedBy> served_by_;
  int status_ = 0;
  std::vector<Header> answer_headers_;
  std::string answer_;
  bool ended_ = false;
};

/// One pool for all functions, without containers: `free` slots that echo.
class FakePool : public ContainerPool {
 public:
  using AddHeaders = std::function<void(ResponseHead&, Microseconds)>;
  using Forwarder = std::function<Awaitable<ForwardResult>(Exchange&, AddHeaders)>;

  explicit FakePool(std::function<void(const Deployed&)> slot_freed = nullptr)
      : slot_freed_(std::move(slot_freed)) {}

  /// Free slots from now on, in one ready container; 0: none is ready.
  void SetFree(uint32_t slots);
  /// Ready and every slot taken.
  void SetBusy(uint32_t slots);
  /// What Forward does; by default it streams the body back with status 200.
  void SetForwarder(Forwarder forwarder) { forwarder_ = std::move(forwarder); }
  /// What Acquire fails with when no slot is free.
  void SetAcquireError(Error error) { acquire_error_ = std::move(error); }
  void SetFreed(std::function<void(const Deployed&)> slot_freed) {
    slot_freed_ = std::move(slot_freed);
  }

  [[nodiscard]] PoolView Look(const Deployed& function) const override;
  [[nodiscard]] PoolView LookAtNode() const override { return view_; }
  [[nodiscard]] Usage Used() const override { return {.memory_bytes = 12345, .ending = 2}; }
  std::unique_ptr<Slot> TryAcquire(const DeployedPtr& function) override;
  bool Prepare(const DeployedPtr& function) override;
  Awaitable<std::unique_ptr<Slot>> Acquire(DeployedPtr function) override;
  void Retire(const DeployedPtr& function) override { retired_.push_back(function->revision); }
  void KeepWarm(const DeployedPtr& function) override { kept_warm_.push_back(function->revision); }
  Awaitable<> Adopt(std::function<DeployedPtr(std::string_view)> resolve) override;
  Awaitable<> Drain() override;

  // What happened so far.
  [[nodiscard]] uint32_t prepared() const { return prepared_; }
  [[nodiscard]] uint32_t forwarded() const { return forwarded_; }
  [[nodiscard]] const std::vector<RevisionId>& retired() const { return retired_; }
  [[nodiscard]] const std::vector<RevisionId>& kept_warm() const { return kept_warm_; }

 private:
  class FakeSlot;

  std::function<void(const Deployed&)> slot_freed_;
  PoolView view_;
  Forwarder forwarder_;
  Error acquire_error_{Code::kTimeout, "start timeout: no container listened"};
  uint32_t prepared_ = 0;
  uint32_t forwarded_ = 0;
  std::vector<RevisionId> retired_;
  std::vector<RevisionId> kept_warm_;
};

/// A deployed function with both builds, changed by `change`.
std::shared_ptr<Deployed> MakeFunction(const std::string& name, int64_t revision = 1);

/// Runs the loop until the coroutine has ended and returns its value.
template <typename T>
T Await(boost::asio::io_context& loop, boost::asio::awaitable<T> coroutine) {
  std::optional<T> result;
  boost::asio::co_spawn(loop, std::move(coroutine), [&result](std::exception_ptr error, T value) {
    if (error) std::rethrow_exception(error);
    result = std::move(value);
  });
  loop.restart();
  while (!result && loop.run_one() > 0) {
  }
  return std::move(*result);
}

}  // namespace hybridserve
