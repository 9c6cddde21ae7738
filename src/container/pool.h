// ContainerPool: the warm containers of every function, their slots and their connections.
//
// The pool starts what it is told to start, hands out slots, keeps connections alive, freezes
// containers after freeze_after without work, and ends them: after keep_alive without work, when
// their revision is retired, when they die.
// When to start one is the policy's business, not the pool's.
//
// State machine of a container: creating → starting (until it listens) → ready ⇄ busy → ending;
// an idle one may be frozen, and is thawed when a slot of it is taken.
// Containers of an older revision finish their requests and go.
//
// Implemented by WarmPool (warm_pool.h) over a ContainerRuntime, and by fakes in tests.
//
// Thread rule: the event loop's thread only.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/awaitable.h"
#include "function/deployed.h"
#include "function/exchange.h"
#include "function/invocation.h"

namespace hybridserve {

struct PoolOptions {
  uint32_t boots = 1;            ///< Starts at once on the node.
  uint32_t max_containers = 64;  ///< On the node, all functions together.
  uint64_t memory_bytes = 0;     ///< Sum of limits.memory_bytes of live containers; 0: no bound.
};

/// Observers; all default to doing nothing.
struct PoolEvents {
  std::function<void(const Deployed&, std::string_view outcome, Microseconds boot_time)> booted;
  std::function<void(const Deployed&)> slot_freed;  ///< A slot became free, or a boot ended.
  std::function<void(const Deployed&, Microseconds thaw_time)> thawed;
  std::function<void(const Deployed&, std::string_view line)> log_line;
};

/// Counts for policies and metrics.
struct PoolView {
  uint32_t ready = 0;     ///< Containers that listen, frozen ones included.
  uint32_t frozen = 0;    ///< Of those, the ones that are thawed by their next request.
  uint32_t starting = 0;  ///< Asked for and not yet listening.
  uint32_t free_slots = 0;
  uint32_t busy_slots = 0;
  /// The last start failed at this time and nothing started since: policies back off.
  std::optional<std::chrono::steady_clock::time_point> last_failure;
  uint32_t failures_in_row = 0;
  /// What a start of this function takes, as measured; absent: none was seen yet.
  std::optional<Microseconds> boot_time;
};

/// What forwarding one request came to, when an answer was sent.
struct ForwardResult {
  int status = 0;
  Microseconds run{};
};

class ContainerPool {
 public:
  /// One slot of one ready container. Freed by the destructor.
  class Slot {
   public:
    virtual ~Slot() = default;
    /// Sends the exchange's request to the container and its answer back, both streamed at flat
    /// memory. `add_headers` is called with the answer's head, once, just before it is sent.
    ///
    /// Errors: kUnavailable no connection could be made: nothing of the request was sent or read
    /// from the exchange, so it can run elsewhere; kBackendDied the container died, or closed its
    /// connection before its answer was whole; kFunctionFailed it answered nonsense, or was killed
    /// for using more than limits.memory; kTimeout run_timeout passed; kTooLarge, kInvalidArgument, kCancelled from the
    /// client's side. After an error Exchange::answered() tells whether an answer can still be
    /// given.
    virtual Awaitable<ForwardResult> Forward(
        Exchange& exchange,
        std::function<void(ResponseHead&, Microseconds run_so_far)> add_headers) = 0;
  };

  virtual ~ContainerPool() = default;

  [[nodiscard]] virtual PoolView Look(const Deployed& function) const = 0;
  [[nodiscard]] virtual PoolView LookAtNode() const = 0;
  /// What only metrics read; walks over every container.
  struct Usage {
    uint64_t memory_bytes = 0;  ///< That live containers really use, as last measured.
    uint32_t ending = 0;        ///< Containers being destroyed.
  };
  [[nodiscard]] virtual Usage Used() const = 0;

  /// A free slot of a ready container of this revision, or nullptr.
  virtual std::unique_ptr<Slot> TryAcquire(const DeployedPtr& function) = 0;

  /// Asks for one more container in the background, waiting for a boot slot; nothing happens when
  /// one is already being started for the function (single flight) or a limit is reached.
  /// Returns whether a start is now under way.
  virtual bool Prepare(const DeployedPtr& function) = 0;

  /// Waits for a slot, starting containers as needed, for functions that have nothing else.
  /// Errors: kTimeout ("start timeout"/"queue timeout" says which); kFunctionFailed the container
  /// exited before it listened, with its last output; kUnavailable a node limit; kCancelled.
  virtual Awaitable<std::unique_ptr<Slot>> Acquire(DeployedPtr function) = 0;

  /// No new work for this revision: idle containers go now, busy ones after their requests.
  virtual void Retire(const DeployedPtr& function) = 0;

  /// Keeps `scale.min_warm` containers of this revision alive from now on.
  virtual void KeepWarm(const DeployedPtr& function) = 0;

  /// Takes back what survived our restart: containers whose label names a live revision stay,
  /// the others are destroyed. `resolve` maps a label to the live revision or nullptr.
  virtual Awaitable<> Adopt(std::function<DeployedPtr(std::string_view label)> resolve) = 0;

  /// Destroys everything; for shutdown.
  virtual Awaitable<> Drain() = 0;
};

/// "NAME@REVISION": the label under which a container of this revision runs.
std::string ContainerLabel(const Deployed& function);

}  // namespace hybridserve
