// ExecutorPool: the WasmBackend of a node, over jailed executors. One executor process a trust
// domain and engine (with its compiler) that is in use there; each runs up to `threads` guests at
// once.
//
// Life of an invocation: native code (from the cache, or compiled once) → one datagram to the
// domain's executor → its answer → the CGI response parsed. An executor that dies is started again
// at once; its invocations in flight fail. One that does not end a guest within a grace period
// after its deadline is killed.
//
// Thread rule: the event loop's thread only. Destroy it after the event loop has stopped running
// its coroutines, or once none of its calls is under way.
#pragma once

#include <sys/types.h>

#include <boost/asio/any_io_executor.hpp>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "wasm/backend.h"
#include "wasm/executor_host.h"

namespace hybridserve {

/// The environment variable by which the executor tells a guest its descriptor of the node's
/// forward proxy; a manifest cannot set it.
inline constexpr char kProxyVariable[] = "HYBRIDSERVE_PROXY_FD";

/// Makes the guest's end of a connection to the node's forward proxy, for one invocation of a
/// function with `[network]`; a stream socket.
using ProxySource = std::function<Result<UniqueFd>(const DeployedPtr&)>;

struct ExecutorPoolOptions {
  EngineChoice engine;                 ///< Of functions that name none; empty fields: defaults.
  uint32_t threads = 32;               ///< Guests at once, in one executor and on the node.
  uint64_t executor_memory_bytes = 0;  ///< Of one executor; 0: no limit.
  std::filesystem::path aot_folder;    ///< Made if need be; the server's user's alone.
  std::filesystem::path aot_key_file;
  std::chrono::milliseconds compile_timeout{120000};  ///< Of one module. 1 s to 1 h.
  std::chrono::milliseconds kill_grace{2000};  ///< Past a guest's deadline.
  ProxySource proxy;  ///< Absent: no guest gets a connection to it.
};

/// Observers; all default to doing nothing.
struct ExecutorPoolEvents {
  /// What a guest wrote to standard error, once an invocation.
  std::function<void(const Deployed&, std::string_view request_id, std::string_view text)> log;
  /// An executor is gone and is being started again.
  std::function<void(std::string_view domain, std::string_view why)> executor_died;
};

/// Opens a module's .wasm file for reading.
using ModuleSource = std::function<Result<UniqueFd>(const Digest&)>;

class ExecutorPool : public WasmBackend {
 public:
  /// Touches no file and starts nothing yet. `host` outlives the pool.
  ExecutorPool(boost::asio::any_io_executor executor, ExecutorPoolOptions options,
               ExecutorHost& host, ModuleSource modules, ExecutorPoolEvents events = {});
  ~ExecutorPool() override;

  /// Opens the cache, learns what this machine's native code depends on, and starts the executor of
  /// the domain "default". Without it the first use does that. Errors: kUnavailable, kCorrupt.
  Awaitable<> Start();

  /// The launcher reports that an executor's process ended. The pool notices by itself, too.
  void OnExecutorExited(ExecutorId id, int status);

  /// The processes that run now, one a trust domain that is in use.
  [[nodiscard]] std::vector<pid_t> Processes() const;

  [[nodiscard]] uint32_t slots() const override;
  Awaitable<> Prepare(DeployedPtr function) override;
  Awaitable<WasmResult> Invoke(WasmInvocation invocation) override;
  void CollectGarbage(const std::set<Digest>& kept, std::chrono::seconds grace) override;
  void Unload(const Deployed& function) override;
  [[nodiscard]] bool IsLoaded(const Deployed& function) const override;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;  // Shared with the pool's own coroutines.
};

}  // namespace hybridserve
