// Sandboxes: the native containers of this node, and those held ready for the next one.
//
// A few generic sandboxes (`held`) are prepared in the background, one at a time and never while a
// start is under way, so that CreateSandbox answers at once and a start pays only for what depends
// on the function. What has been frozen for a while is paged out where the machine has swap. A
// sandbox whose start fails, or whose program ends, is removed by itself.
//
// Thread rule: one thread, the loop's.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "launcher/event_loop.h"
#include "launcher/host.h"
#include "launcher/lock_heater.h"
#include "launcher/messages.h"
#include "launcher/worker.h"
#include "sandbox/container.h"
#include "sandbox/id_range.h"

namespace hybridserve::launcher {

class Sandboxes {
 public:
  using OnExit = std::function<void(const SandboxExit&)>;

  /// Keeps `held` ready; `images` is the store's folder.
  Sandboxes(EventLoop& loop, Host& host, Workers& workers, std::filesystem::path images, uint32_t held,
            OnExit on_exit);
  /// Kills and removes all of them.
  ~Sandboxes();
  Sandboxes(const Sandboxes&) = delete;
  Sandboxes& operator=(const Sandboxes&) = delete;

  /// Errors: kUnsupported no containers here; kUnavailable more than 1024.
  void Create(std::function<void(Result<ContainerId>)> done);
  /// The descriptor is the read end of the program's log, non-blocking.
  /// Errors: kNotFound no such sandbox or image; kConflict it was started already; kInvalidArgument
  /// the program cannot be run.
  void Start(ContainerId id, SandboxSpec spec, std::function<void(Result<UniqueFd>)> done);
  Result<std::vector<UniqueFd>> MakeSockets(ContainerId id, uint32_t count);
  Result<UniqueFd> MakeListener(ContainerId id, uint16_t port);
  /// Of a running one. Errors: kNotFound; kConflict it does not run; kTimeout it cannot be stopped
  /// now, and runs on.
  Result<> Freeze(ContainerId id);
  Result<> Thaw(ContainerId id);
  /// Its start is over.
  Result<> Settle(ContainerId id);
  Result<SandboxUsage> Stats(ContainerId id);
  void Destroy(ContainerId id, std::function<void(Result<>)> done);
  /// Those after `after`, at most a page (ipc::kMaxFds), in the order of their ids.
  [[nodiscard]] std::vector<AdoptedSandbox> List(ContainerId after) const;

  [[nodiscard]] bool UsesImage(const Digest& image) const;
  [[nodiscard]] bool Owns(pid_t pid) const;

 private:
  struct Entry {
    std::unique_ptr<sandbox::Container> container;
    std::string label;
    Digest image;
    UniqueFd log;          // The read end, kept for a server that starts again.
    bool given = false;    // The server knows of it.
    bool running = false;  // Its program has been started.
    EventLoop::TimerId page_out;
    std::function<void(Result<ContainerId>)> on_created;
    std::function<void(Result<UniqueFd>)> on_started;
    std::vector<std::function<void(Result<>)>> on_destroyed;
  };

  Result<uint64_t> Make();
  Result<> BeginStart(Entry& entry, const SandboxSpec& spec);
  void OnControl(uint64_t id);
  void OnEnd(uint64_t id);
  void PageOut(uint64_t id);
  void Give(uint64_t id, Entry& entry);
  void Finish(uint64_t id);
  void RefillSoon();
  void Refill();
  Result<Entry*> Find(ContainerId id);

  EventLoop& loop_;
  Host& host_;
  Workers& workers_;
  LockHeater heater_;
  std::filesystem::path images_;
  uint32_t held_;
  OnExit on_exit_;
  sandbox::IdRanges ranges_;
  std::map<uint64_t, Entry> entries_;
  std::deque<uint64_t> ready_;  // Held and not given yet.
  uint64_t next_id_ = 1;
  uint32_t preparing_ = 0;  // Being made for the pool.
  EventLoop::TimerId refill_;
};

}  // namespace hybridserve::launcher
