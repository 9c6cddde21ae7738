// Jobs: jailed one-shots: compiles and unpacks. At most four run at once; up to 64 more wait their
// turn. Each has its own memory limit, a timeout, and its output captured to 64 KiB.
//
// Thread rule: one thread, the loop's.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "launcher/event_loop.h"
#include "launcher/host.h"
#include "launcher/messages.h"
#include "sandbox/cgroup.h"
#include "sandbox/process.h"

namespace hybridserve::launcher {

/// Whose files a job may make.
enum class JobKind : uint8_t {
  kPlain,   ///< A user of its own; no capability.
  kUnpack,  ///< User 0 of the images' owner range, with what it takes to set owners and modes.
};

class Jobs {
 public:
  using Done = std::function<void(Result<JobResult>)>;

  Jobs(EventLoop& loop, Host& host) : loop_(loop), host_(host) {}
  /// Kills all; none is reported.
  ~Jobs();
  Jobs(const Jobs&) = delete;
  Jobs& operator=(const Jobs&) = delete;

  /// Runs it now or later, with `fds` as its descriptors 3, 4, ... In a jail with namespaces a
  /// program whose verb is `compile` also gets `--scratch` and, as the next descriptor, a tmpfs.
  /// Errors, by `done`: kUnsupported no such program; kUnavailable too many wait.
  void Run(JobSpec spec, JobKind kind, std::vector<UniqueFd> fds, Done done);
  /// Kills those that run and drops those that wait; each ends with kCancelled.
  void KillAll();
  [[nodiscard]] bool Owns(pid_t pid) const;

 private:
  struct Waiting {
    JobSpec spec;
    JobKind kind;
    std::vector<UniqueFd> fds;
    Done done;
  };
  struct Running {
    std::unique_ptr<sandbox::Cgroup> cgroup;
    sandbox::Child child;
    UniqueFd output;
    JobResult result;
    EventLoop::TimerId deadline;
    Done done;
  };

  std::map<uint64_t, Running> Stop();
  void StartNext();
  Result<Running> Launch(uint64_t id, const Waiting& job);
  void ReadOutput(Running& running);
  void OnEnd(uint64_t id);
  void OnDeadline(uint64_t id);

  EventLoop& loop_;
  Host& host_;
  std::deque<Waiting> waiting_;
  std::map<uint64_t, Running> running_;
  uint64_t next_id_ = 1;
};

}  // namespace hybridserve::launcher
