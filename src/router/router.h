// Router: the only place that knows both sides. Holds the table of functions and their queues, asks
// the policy, and carries each request to a Wasm instance or to a container.
//
// Life of a request: find the function → decide → (queue) → run → answer, count, log.
//
// Thread rule: the event loop's thread only.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/node_config.h"
#include "container/clock.h"
#include "container/pool.h"
#include "function/deployed.h"
#include "function/exchange.h"
#include "policy/policy.h"
#include "telemetry/metrics.h"
#include "wasm/backend.h"

namespace hybridserve {

class Router {
 public:
  struct Options {
    PolicyKind policy = PolicyKind::kPaper;
    bool allow_route_header = false;
    uint32_t max_containers = 64;  ///< On the node; as the pool's.
    /// Container starts under way or waiting for a boot slot, beyond which none is asked for. The
    /// pool runs only so many of them at once as it has boot slots.
    uint32_t max_starting = 16;
    /// Request bodies collected for Wasm, all together; beyond it requests get 503.
    uint64_t body_memory_bytes = 512u << 20;
    /// Answers of guests that wait for their clients to read them, all together; beyond it, 503.
    uint64_t answer_memory_bytes = 512u << 20;
    /// How late a function's code may be unloaded after its keep_alive.
    std::chrono::milliseconds max_unload_delay{1000};
    Clock* clock = nullptr;  ///< Outlives the router; nullptr: the system's.
  };

  /// `containers` may be nullptr: Wasm only. `wasm` may be nullptr: containers only. All three
  /// outlive the router and the requests in flight.
  Router(boost::asio::any_io_executor executor, Options options, WasmBackend* wasm,
         ContainerPool* containers, Metrics& metrics);
  ~Router();

  /// Makes a revision the live one of its function; requests in flight finish on the old one.
  void Deploy(DeployedPtr function);
  /// Unknown names are ignored. Requests in flight and in the queue still finish.
  void Remove(const FunctionName& name);
  /// nullptr when there is none.
  [[nodiscard]] DeployedPtr Find(const FunctionName& name) const;
  /// By a manifest's `hosts`; `host` is in lower case and without a port.
  [[nodiscard]] DeployedPtr FindByHost(std::string_view host) const;
  /// Whether any function has hosts of its own.
  [[nodiscard]] bool HasHosts() const;

  /// Counts for `describe`.
  struct FunctionStatus {
    uint32_t wasm_running = 0;
    uint32_t queued = 0;  ///< Waiting for a Wasm slot or for a container.
    bool wasm_loaded = false;
    PoolView containers;
  };
  [[nodiscard]] FunctionStatus Status(const FunctionName& name) const;

  /// Answers one request to `function`; every failure becomes an HTTP answer here. Cancelling the
  /// awaiting coroutine (the client went away) ends the guest.
  boost::asio::awaitable<void> Handle(DeployedPtr function, Exchange& exchange);

  /// A pool observer calls this: a slot became free, so a queued request may go.
  void OnSlotFreed(const Deployed& function);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;  // Shared by: requests in flight; posted tasks hold it weakly.
};

/// The JSON answer of a failure: {"error":{"code":"not_found","message":"..."}}, with Retry-After
/// for 429 and 503.
struct ErrorAnswer {
  ResponseHead head;
  std::string body;
};
ErrorAnswer MakeErrorAnswer(const Error& error);
/// The same with another status than the code's own (408, 431, 505, ...).
ErrorAnswer MakeErrorAnswer(const Error& error, int http_status);

}  // namespace hybridserve
