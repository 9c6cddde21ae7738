// FakeWasmBackend: the whole WasmBackend in memory, for tests of what stands above it.
//
// A handler answers each invocation; how long that takes is a delay on a timer, or the invocation
// is held until the test lets go of it. Load state, slots, run timeouts and cancellation behave as
// in the real one. Nothing of a guest's output is parsed: the handler gives head and body.
//
// Thread rule: the event loop's thread only.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "wasm/backend.h"

namespace hybridserve {

/// What the fake's guest answers.
struct FakeWasmAnswer {
  ResponseHead head;
  std::string body;
};

class FakeWasmBackend : public WasmBackend {
 public:
  using Handler = std::function<Result<FakeWasmAnswer>(const WasmInvocation&)>;

  /// Without a handler every invocation is answered 200 with the request's body.
  explicit FakeWasmBackend(boost::asio::any_io_executor executor, uint32_t slots = 4);
  ~FakeWasmBackend() override;

  void SetHandler(Handler handler) { handler_ = std::move(handler); }
  /// How long an invocation runs before it answers; 0 answers without suspending.
  void SetDelay(std::chrono::milliseconds delay) { delay_ = delay; }
  /// What Prepare returns from now on; std::nullopt: success. Invoke of a function that was never
  /// prepared fails with it too.
  void SetPrepareError(std::optional<Error> error) { prepare_error_ = std::move(error); }

  /// From now on invocations wait, until ReleaseOne, ReleaseAll, their run timeout or cancellation.
  void Hold() { hold_ = true; }
  /// Lets the oldest held invocation go on; false when none is held.
  bool ReleaseOne();
  /// Lets all go on and holds no more.
  void ReleaseAll();

  [[nodiscard]] uint32_t slots() const override { return slots_; }
  Awaitable<> Prepare(DeployedPtr function) override;
  Awaitable<WasmResult> Invoke(WasmInvocation invocation) override;
  /// Has no code on disk.
  void CollectGarbage(const std::set<Digest>& /*kept*/, std::chrono::seconds /*grace*/) override {}
  void Unload(const Deployed& function) override;
  [[nodiscard]] bool IsLoaded(const Deployed& function) const override;

  // What happened so far.
  [[nodiscard]] uint32_t running() const { return running_; }
  [[nodiscard]] uint32_t peak_running() const { return peak_running_; }
  [[nodiscard]] uint64_t invocations() const { return invocations_; }
  [[nodiscard]] uint64_t cancelled() const { return cancelled_; }
  [[nodiscard]] uint64_t prepared() const { return prepared_; }
  [[nodiscard]] const std::vector<FunctionName>& unloaded() const { return unloaded_; }

 private:
  struct Waiting;

  Awaitable<> Run(std::chrono::milliseconds run_timeout);
  Result<WasmResult> Answer(const WasmInvocation& invocation);

  boost::asio::any_io_executor executor_;
  uint32_t slots_;
  Handler handler_;
  std::chrono::milliseconds delay_{0};
  std::optional<Error> prepare_error_;
  bool hold_ = false;
  std::list<Waiting*> waiting_;  // Held ones, oldest first; each is on its coroutine's frame.
  std::set<Digest> compiled_;
  std::set<Digest> loaded_;
  uint32_t running_ = 0;
  uint32_t peak_running_ = 0;
  uint64_t invocations_ = 0;
  uint64_t cancelled_ = 0;
  uint64_t prepared_ = 0;
  std::vector<FunctionName> unloaded_;
};

}  // namespace hybridserve
