// NativeCompiler: gives a function's native code, from the cache or compiled in a jailed job.
//
// Callers that want the same module while it is being compiled wait for that one job. A caller that
// is cancelled stops waiting; the job goes on, and its result is kept.
//
// Thread rule: the event loop's thread only.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/awaitable.h"
#include "function/deployed.h"
#include "wasm/aot_cache.h"
#include "wasm/executor_host.h"
#include "wasm/executor_pool.h"
#include "wasm/wakeup.h"

namespace hybridserve {

class NativeCompiler : public std::enable_shared_from_this<NativeCompiler> {
 public:
  NativeCompiler(boost::asio::any_io_executor executor, const ExecutorPoolOptions& options,
                 ExecutorHost& host, ModuleSource modules);

  /// Opens the cache and asks the engine what its native code depends on. Idempotent.
  /// Errors: kUnavailable the node does not have the engine, or it does not work.
  Awaitable<> Start(EngineChoice engine);

  /// What the function runs in.
  [[nodiscard]] EngineChoice EngineOf(const Deployed& function) const;

  /// The function's native code if it is at hand now; kNotFound when Get has to be awaited. The
  /// descriptor is the cache's, good until the next call of anything here.
  Result<AotCache::NativeCode> TryGet(const Deployed& function);
  /// Compiles unless the code is in the cache. TryGet succeeds afterwards.
  /// Errors: kInvalidArgument what is wrong with the module; kTimeout; kUnavailable; kCancelled.
  Awaitable<> Get(DeployedPtr function);

  /// See WasmBackend.
  void CollectGarbage(const std::set<Digest>& kept, std::chrono::seconds grace);
  /// Forgets code that an executor could not load.
  void Discard(const Deployed& function);

 private:
  struct Flight {
    explicit Flight(const boost::asio::any_io_executor& executor) : done(executor) {}
    Wakeup done;
    Result<> result;
  };

  // What is known of an engine.
  struct Engine {
    std::string fingerprint;  // Empty until Start has succeeded.
    std::shared_ptr<Flight> starting;
  };

  Awaitable<> StartOnce(const EngineChoice& engine);
  // What the function's code is called in the cache; empty: its engine has not been started.
  std::string KeyOf(const Deployed& function);
  // On their own, so that no caller's cancellation ends them.
  boost::asio::awaitable<void> FlyStart(std::shared_ptr<NativeCompiler> self,
                                        std::shared_ptr<Flight> flight, EngineChoice engine);
  boost::asio::awaitable<void> Fly(std::shared_ptr<NativeCompiler> self,
                                   std::shared_ptr<Flight> flight, std::string key,
                                   DeployedPtr function);
  Awaitable<> Compile(std::string key, DeployedPtr function);

  boost::asio::any_io_executor executor_;
  std::filesystem::path folder_;
  std::filesystem::path key_file_;
  EngineChoice default_engine_;
  std::chrono::milliseconds timeout_;
  ExecutorHost& host_;
  ModuleSource modules_;
  std::optional<AotCache> cache_;
  std::map<EngineChoice, Engine> engines_;
  std::unordered_map<std::string, std::shared_ptr<Flight>> flights_;  // By key.
  uint32_t jobs_ = 0;
  std::shared_ptr<Wakeup> job_ended_;
};

}  // namespace hybridserve
