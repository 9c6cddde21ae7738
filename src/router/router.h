// Router: the only place that knows both sides. Holds the table of functions and their queues, asks
// the policy, and carries each request to a Wasm instance or to a container.
//
// Life of a request: find the function → decide → (queue) → run → answer, count, log.
//
// Thread rule: the event loop's thread only.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/node_config.h"
#include "container/pool.h"
#include "function/deployed.h"
#include "policy/policy.h"
#include "function/exchange.h"
#include "telemetry/metrics.h"
#include "wasm/backend.h"

namespace hybridserve {

class Router {
 public:
  struct Options {
    PolicyKind policy = PolicyKind::kPaper;
    bool allow_route_header = false;
  };

  /// `containers` may be nullptr: Wasm only. `wasm` may be nullptr: containers only.
  Router(boost::asio::any_io_executor executor, Options options, WasmBackend* wasm,
         ContainerPool* containers, Metrics& metrics);
  ~Router();

  /// Makes a revision the live one of its function; requests in flight finish on the old one.
  void Deploy(DeployedPtr function);
  /// Unknown names are ignored.
  void Remove(const FunctionName& name);
  /// nullptr when there is none.
  [[nodiscard]] DeployedPtr Find(const FunctionName& name) const;
  [[nodiscard]] DeployedPtr FindByHost(std::string_view host) const;

  /// Counts for `describe`.
  struct FunctionStatus {
    uint32_t wasm_running = 0;
    uint32_t queued = 0;
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
  std::unique_ptr<Impl> impl_;
};

/// The JSON answer of a failure: {"error":{"code":"not_found","message":"..."}}, with Retry-After
/// for 429 and 503.
struct ErrorAnswer { ResponseHead head; std::string body; };
ErrorAnswer MakeErrorAnswer(const Error& error);

}  // namespace hybridserve
