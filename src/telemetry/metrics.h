// Metrics: what the node counts, in Prometheus' text format.
//
// Invocations are counted per function in a small table of plain numbers (FunctionCounts), made at
// a function's first invocation and dropped with it; latencies are histograms of the whole node by
// backend and start kind, so that a thousand functions do not make a thousand histograms. What is a
// level and not a count (containers, memory, queues) is asked for when somebody reads it.
//
// Nothing here looks up a label on the request path.
//
// Thread rule: the event loop's thread only.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/result.h"
#include "function/invocation.h"

namespace hybridserve {

/// How an invocation ended.
enum class Outcome : uint8_t {
  kOk,              ///< The function answered, with a status below 500.
  kErrorStatus,     ///< The function itself answered 500 or above.
  kFunctionFailed,  ///< It trapped, exited non-zero, died or answered nonsense.
  kTimeout,         ///< A queue, start or run timeout passed.
  kQueueFull,       ///< 429.
  kUnavailable,     ///< 503.
  kCancelled,       ///< The client went away.
  kRejected,        ///< The request itself was at fault (too large, not allowed, bad framing).
  kInternal,        ///< Our own failure.
};
inline constexpr size_t kOutcomes = 9;

/// "ok", "error_status", "function_failed", ...
std::string_view OutcomeName(Outcome outcome);
/// The outcome of an invocation that failed with this code.
Outcome OutcomeOf(Code code);

/// How one outbound request of a function ended.
enum class EgressResult : uint8_t {
  kOk,           ///< The answer was carried to its end, whatever its status; a tunnel was made.
  kForbidden,    ///< The manifest or the node does not allow it.
  kBadRequest,   ///< The function's request is no valid one to a proxy.
  kUnreachable,  ///< The name or the address could not be reached, or did not answer with HTTP.
  kTimeout,
  kCut,  ///< One of both ends left in the middle.
};
inline constexpr size_t kEgressResults = 6;
/// "ok", "forbidden", "bad_request", ...
std::string_view EgressResultName(EgressResult result);

/// One function's invocations.
struct FunctionCounts {
  FunctionName name;
  /// By backend, start kind and outcome.
  std::array<std::array<std::array<uint64_t, kOutcomes>, 2>, 2> invocations{};
  std::array<Microseconds, 2> run_time{};  ///< By backend: the sum of run times.
  std::array<uint64_t, 2> retries{};       ///< By the backend that died.
  std::array<uint64_t, kEgressResults> egress{};  ///< Outbound requests, by result.
};

/// Shared by: the metrics' table and the router's entry of the function, which may outlive it.
using FunctionCountsPtr = std::shared_ptr<FunctionCounts>;

/// Levels, filled in by their owners when they are read. All add up: fill in with +=.
struct Gauges {
  uint64_t functions = 0;
  uint64_t connections = 0;   ///< Open client connections.
  uint64_t wasm_running = 0;  ///< Guests that run now.
  uint64_t queued = 0;        ///< Requests that wait for a slot.
  uint64_t containers_starting = 0;
  uint64_t containers_ready = 0;   ///< Listening, and not frozen.
  uint64_t containers_frozen = 0;  ///< Stopped until their next request.
  uint64_t containers_ending = 0;
  uint64_t container_slots_busy = 0;
  uint64_t container_slots_free = 0;
  uint64_t server_memory_bytes = 0;
  uint64_t executor_memory_bytes = 0;
  uint64_t container_memory_bytes = 0;
};

class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  /// The counts of a function, made at the first call.
  FunctionCountsPtr Of(const FunctionName& name);
  /// The function is gone: its series end.
  void Drop(const FunctionName& name);

  /// One invocation ended. `total` is from the request's arrival at the router to its answer.
  void CountInvocation(FunctionCounts& counts, Backend backend, StartKind start, Outcome outcome,
                       const Timing& timing, Microseconds total);
  /// The backend `from` died under a request, which is run again on the other one.
  static void CountRetry(FunctionCounts& counts, Backend from);
  /// An outbound request of the function ended.
  static void CountEgress(FunctionCounts& counts, EgressResult result);
  /// One start of a container ended; `outcome` is a word ("ready", "exited", "timeout", ...).
  void CountBoot(std::string_view outcome, Microseconds boot_time);
  /// A frozen container went on.
  void CountThaw(Microseconds thaw_time);
  /// A request was answered before a backend was chosen: bad request, unknown function, a route
  /// that the node does not allow.
  void CountRefused(int http_status);

  /// `fill` adds its levels whenever somebody reads; it must outlive this object or do nothing.
  void OnCollect(std::function<void(Gauges&)> fill);

  /// Everything, in Prometheus' text format 0.0.4.
  [[nodiscard]] std::string Serialize() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hybridserve
