// Executors: the jailed processes that run Wasm. Each gets its data socket as descriptor 3, its
// control socket as 4, and the arguments `serve --threads N`; in a jail with namespaces also
// `--scratch` and, as 5, a tmpfs for its guests' /tmp of a quarter of its memory. What it writes to
// stderr goes to the launcher's log. Its end is reported at once. As root each runs as a user of its own, so that they
// share no limit, signal or key that the kernel counts by user.
//
// Thread rule: one thread, the loop's.
#pragma once

#include <functional>
#include <map>
#include <memory>

#include "base/ids.h"
#include "base/result.h"
#include "launcher/event_loop.h"
#include "launcher/host.h"
#include "launcher/line_log.h"
#include "launcher/messages.h"
#include "sandbox/cgroup.h"
#include "sandbox/process.h"

namespace hybridserve::launcher {

class Executors {
 public:
  using OnExit = std::function<void(ExecutorId id, int status)>;

  Executors(EventLoop& loop, Host& host, OnExit on_exit)
      : loop_(loop), host_(host), on_exit_(std::move(on_exit)) {}
  ~Executors();
  Executors(const Executors&) = delete;
  Executors& operator=(const Executors&) = delete;

  /// Errors: kUnsupported no such program; kUnavailable more than 64 run.
  Result<StartedExecutor> Start(const ExecutorSpec& spec);
  /// Its end is reported as any other. An unknown id is fine.
  void Kill(ExecutorId id);
  /// Kills all and waits for their end, reporting none: their server is gone.
  void KillAll();
  [[nodiscard]] bool Owns(pid_t pid) const;
  /// The user it runs as, as root. Errors: kNotFound.
  [[nodiscard]] Result<uint32_t> UserOf(ExecutorId id) const;

 private:
  struct Entry {
    uint32_t uid = 0;
    std::unique_ptr<sandbox::Cgroup> cgroup;
    sandbox::Child child;
    std::unique_ptr<LineLog> log;
  };
  [[nodiscard]] uint32_t FreeUid() const;
  void OnEnd(uint64_t id);

  EventLoop& loop_;
  Host& host_;
  OnExit on_exit_;
  std::map<uint64_t, Entry> entries_;
  uint64_t next_id_ = 1;
};

}  // namespace hybridserve::launcher
