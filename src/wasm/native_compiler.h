// NativeCompiler: gives a function's native code, from the cache or compiled in a jailed job.
//
// Callers that want the same module while it is being compiled wait for that one job. A caller that
// is cancelled stops waiting; the job goes on, and its result is kept.
//
// Thread rule: the event loop's thread only.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <filesystem>
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

  /// Opens the cache and asks the engine what native code depends on. Idempotent.
  Awaitable<> Start();

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

  Awaitable<> StartOnce();
  // On their own, so that no caller's cancellation ends them.
  boost::asio::awaitable<void> FlyStart(std::shared_ptr<NativeCompiler> self,
                                        std::shared_ptr<Flight> flight);
  boost::asio::awaitable<void> Fly(std::shared_ptr<NativeCompiler> self,
                                   std::shared_ptr<Flight> flight, std::string key, Digest module);
  Awaitable<> Compile(std::string key, Digest module);

  boost::asio::any_io_executor executor_;
  std::filesystem::path folder_;
  std::filesystem::path key_file_;
  std::string program_;
  std::chrono::milliseconds timeout_;
  ExecutorHost& host_;
  ModuleSource modules_;
  std::optional<AotCache> cache_;
  std::string fingerprint_;  // Empty until Start has succeeded.
  std::shared_ptr<Flight> starting_;
  std::unordered_map<std::string, std::shared_ptr<Flight>> flights_;  // By key.
  uint32_t jobs_ = 0;
  std::shared_ptr<Wakeup> job_ended_;
};

}  // namespace hybridserve
