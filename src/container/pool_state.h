// What WarmPool keeps: containers by revision, starts that wait, what is being destroyed, and who
// waits for a slot. Only warm_pool.cc and pool_*.cc include it.
//
// Invariants:
//   - A container is in its set's list from Prepare until End; from Create until it is destroyed it
//     occupies the node (count and memory).
//   - live (in a list) never exceeds max_containers, nor does occupied: so a start that has been
//     accepted gets its room once what is being destroyed is gone.
//   - A free slot and a waiter never exist together in one set.
//   - A container with a slot handed out is not frozen, or is being thawed.
//
// Thread rule: the event loop's thread only.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "container/clock.h"
#include "container/connection.h"
#include "container/event.h"
#include "container/log_tail.h"
#include "container/warm_pool.h"

namespace hybridserve {

struct PoolSet;

enum class ContainerState : uint8_t { kQueued, kCreating, kStarting, kReady, kEnding };
enum class Frost : uint8_t { kNone, kFreezing, kFrozen, kThawing };

/// One container, from the decision to start it until nothing of it is left.
struct PoolContainer {
  PoolContainer(const boost::asio::any_io_executor& executor, PoolSet& owner);

  PoolSet* set;  ///< nullptr from End on.
  DeployedPtr function;
  uint16_t port = 8080;
  ContainerId id{};  ///< From Create on.
  ContainerState state = ContainerState::kQueued;
  Frost frost = Frost::kNone;       ///< Of a ready one.
  uint32_t busy = 0;                ///< Slots handed out.
  uint32_t losses = 0;              ///< Requests in a row whose connection it broke.
  bool answered = false;            ///< A request was answered.
  bool broken = false;              ///< Takes no new work; ends once it is idle.
  bool created = false;             ///< `id` is valid.
  bool booting = false;             ///< Boot has it in hand, and will end it if it is abandoned.
  bool abandoned = false;           ///< Its boot is to stop.
  std::optional<SandboxExit> exit;  ///< It ended by itself.
  bool log_ended = false;
  Clock::TimePoint idle_since;
  Clock::TimePoint freeze_tried;  ///< When it could not be frozen, and ran on.
  double keep_value = 0;          ///< As of its last use; see keep_value.h.
  uint64_t measured_bytes = 0;
  Event changed;  ///< exit, abandoned or log_ended was set.
  std::unique_ptr<NetworkService> network;
  LogTail log;
  std::vector<std::unique_ptr<Connection>>
      idle;  ///< Connections without a request, last used last.

  [[nodiscard]] bool HasFreeSlot() const;
  [[nodiscard]] bool Booting() const;
  [[nodiscard]] uint64_t MemoryLimit() const { return function->manifest.limits.memory_bytes; }
};
// Shared by its set's list, the slots in use, its boot, its log reader and its destruction.
using PoolContainerPtr = std::shared_ptr<PoolContainer>;

/// One request that waits in Acquire; lives in its coroutine.
struct PoolWaiter {
  explicit PoolWaiter(const boost::asio::any_io_executor& executor) : changed(executor) {}
  std::unique_ptr<ContainerPool::Slot> slot;
  std::optional<Error> error;
  Event changed;
};

/// The containers of one revision.
struct PoolSet {
  explicit PoolSet(DeployedPtr revision) : function(std::move(revision)) {}

  DeployedPtr function;
  std::vector<PoolContainerPtr> containers;  ///< Not those that end.
  std::deque<PoolWaiter*> waiters;
  bool retired = false;
  bool keep_warm = false;
  bool starved = false;   ///< Waiters could not get a start for lack of room.
  uint32_t failures = 0;  ///< In a row.
  std::optional<Clock::TimePoint> last_failure;
  Error last_error;
  uint64_t uses = 0;                      ///< Slots taken.
  std::optional<Microseconds> boot_time;  ///< Of its starts, the latest counting most.
  Clock::Ticket retry;  ///< Of what min_warm wants.

  [[nodiscard]] const Scale& scale() const { return function->manifest.scale; }
  [[nodiscard]] uint32_t Booting() const;
  [[nodiscard]] uint32_t Ready() const;
  [[nodiscard]] uint32_t MayGo() const;  ///< Ready ones that min_warm does not keep.
  /// Until when no start is tried again after failures.
  [[nodiscard]] Clock::TimePoint BackOffUntil() const;
};

struct PoolKey {
  std::string_view name;  ///< Into the set's own `function`.
  int64_t revision;
  bool operator==(const PoolKey&) const = default;
};

struct PoolKeyHash {
  size_t operator()(const PoolKey& key) const {
    return std::hash<std::string_view>{}(key.name) ^ (static_cast<size_t>(key.revision) << 1);
  }
};

inline PoolKey KeyOf(const Deployed& function) {
  return {function.manifest.name.value, function.revision.value};
}

struct WarmPool::Impl : std::enable_shared_from_this<WarmPool::Impl> {
  Impl(boost::asio::any_io_executor loop, ContainerRuntime& container_runtime, PoolOptions limits,
       PoolEvents observers, WarmPoolParts parts);

  // warm_pool.cc: sets, slots, waiters.
  PoolSet* FindSet(const Deployed& function) const;
  PoolSet& GetSet(const DeployedPtr& function);
  /// Forgets a set that has nothing to remember; it is invalid afterwards.
  void ForgetIfEmpty(PoolSet& set);
  std::unique_ptr<Slot> TakeSlot(PoolSet& set);
  void Release(const PoolContainerPtr& container);
  void HandOut(PoolSet& set);
  void FailWaiters(PoolSet& set, const Error& error);
  void Value(PoolContainer& container) const;
  Awaitable<std::unique_ptr<Slot>> Wait(PoolSet& set, PoolWaiter& waiter);
  std::optional<Error> Overdue(const PoolSet& set) const;
  void Close();

  // pool_boot.cc: starts.
  /// Accepts a start unless a limit forbids it; single flight. Returns whether one is under way.
  bool StartOne(PoolSet& set);
  void StartForWaiters(PoolSet& set);
  void StartStarved();
  /// Starts what min_warm lacks, after a pause when the last start failed.
  void Maintain(PoolSet& set);
  bool MakeRoom(const PoolSet& set);
  [[nodiscard]] bool HasRoom(uint64_t memory_bytes) const;
  void Pump();
  boost::asio::awaitable<void> Boot(PoolContainerPtr container);
  Awaitable<> TryBoot(PoolContainerPtr container);
  Awaitable<> OpenNetwork(PoolContainerPtr container);
  Awaitable<> WaitUntilItListens(PoolContainerPtr container);
  Awaitable<> WaitForLastOutput(PoolContainerPtr container);
  Error ExitError(const PoolContainer& container) const;
  void BecomeReady(const PoolContainerPtr& container);
  void BootFailed(const PoolContainerPtr& container, const Error& error);
  void NoteFailure(PoolSet& set, Error error);
  void StartLog(const PoolContainerPtr& container, UniqueFd log);
  boost::asio::awaitable<void> ReadLog(PoolContainerPtr container,
                                       std::shared_ptr<boost::asio::posix::stream_descriptor> pipe);

  // pool_end.cc: ends.
  /// No more work for it: destroys it in the background, or stops its boot.
  void End(const PoolContainerPtr& container);
  void EndIdle(PoolSet& set);
  void Vacate(const PoolContainer& container);
  void OnExit(const SandboxExit& exit);
  boost::asio::awaitable<void> DestroyAll();
  Awaitable<> DestroyOne(ContainerId id);
  /// Ends one that is of no use any more, and starts what is wanted in its place.
  void Replace(const PoolContainerPtr& container);
  void ScheduleSweep(Clock::TimePoint when);
  void Sweep();
  void SweepSet(PoolSet& set, Clock::TimePoint now, Clock::TimePoint& next);
  void ScheduleMeasuring(std::chrono::milliseconds after);
  boost::asio::awaitable<void> MeasureAll();

  // pool_freeze.cc.
  /// When an idle container is frozen, or TimePoint::max().
  [[nodiscard]] Clock::TimePoint FreezesAt(const PoolContainer& container) const;
  /// When an idle container is to be frozen or ended next.
  [[nodiscard]] Clock::TimePoint DueAt(const PoolContainer& container) const;
  void FreezeIfDue(const PoolContainerPtr& container, Clock::TimePoint now, Clock::TimePoint& next);
  boost::asio::awaitable<void> FreezeOne(PoolContainerPtr container);
  boost::asio::awaitable<void> ThawOne(PoolContainerPtr container);
  Awaitable<> Measure(PoolContainer& container);

  // pool_adopt.cc.
  [[nodiscard]] bool HasPlaceFor(const Deployed& function) const;
  boost::asio::awaitable<void> AdoptOne(AdoptedContainer survivor, DeployedPtr function);

  boost::asio::any_io_executor executor;
  ContainerRuntime& runtime;
  const PoolOptions options;
  PoolEvents events;
  std::function<ContainerSpec(const Deployed&)> make_spec;
  std::function<std::unique_ptr<NetworkService>(UniqueFd, const DeployedPtr&)> make_network;
  std::unique_ptr<SystemClock> own_clock;  // where none was given
  Clock& clock;

  std::unordered_map<PoolKey, std::unique_ptr<PoolSet>, PoolKeyHash> sets;
  std::unordered_map<ContainerId, PoolContainerPtr> occupying;  // those with an id
  std::deque<PoolContainerPtr> boot_queue;
  std::deque<PoolContainerPtr> end_queue;
  uint32_t boots = 0;        // under way
  uint32_t destroys = 0;     // under way
  uint32_t freezes = 0;      // under way
  bool can_freeze = true;    // until the runtime says that it cannot
  double value_floor = 0;    // keep_value of the last container that had to make room
  uint32_t live = 0;         // containers in sets
  uint64_t live_memory = 0;  // sum of their limits
  uint32_t occupied = 0;     // from Create to destroyed
  uint64_t occupied_memory = 0;
  bool closed = false;
  Event nothing_left;  // after Close
  Clock::Ticket sweep;
  Clock::TimePoint sweep_at = Clock::TimePoint::max();
  Clock::Ticket measuring;
  bool measuring_soon = false;  // `measuring` is set, or a round is under way
};

/// A slot; frees itself. In pool_slot.cc.
std::unique_ptr<ContainerPool::Slot> MakeSlot(std::shared_ptr<WarmPool::Impl> pool,
                                              PoolContainerPtr container);

}  // namespace hybridserve
