// LockHeater: makes the next containers' starts faster while some are being started.
//
// Moving a process between cgroups (version 1) takes a lock of the kernel's whose taker waits for an
// RCU grace period, two to eight milliseconds, unless another has just had it. A child that moves
// itself between two groups every five milliseconds keeps the lock in that state; it costs less than
// one percent of a core, so it runs only for a while after each start. With version 2 a child is made
// in its group (CLONE_INTO_CGROUP) and there is nothing to heat.
//
// Source: Linux, kernel/cgroup/cgroup.c (cgroup_threadgroup_rwsem), kernel/rcu/sync.c.
//
// Thread rule: one thread, the loop's.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <memory>

#include "base/unique_fd.h"
#include "launcher/event_loop.h"
#include "sandbox/cgroup.h"
#include "sandbox/process.h"

namespace hybridserve::launcher {

class LockHeater {
 public:
  static constexpr std::chrono::seconds kPeriod{2};

  /// `tree` outlives it; nullptr: nothing is heated.
  LockHeater(EventLoop& loop, sandbox::CgroupTree* tree) : loop_(loop), tree_(tree) {}
  /// Ends the child, with which its groups go.
  ~LockHeater();
  LockHeater(const LockHeater&) = delete;
  LockHeater& operator=(const LockHeater&) = delete;

  /// Keeps the lock hot for kPeriod from now on. What cannot be done is left undone: starts are
  /// only slower.
  void Heat();
  [[nodiscard]] bool Owns(pid_t pid) const { return child_ && child_.pid == pid; }

 private:
  Result<> Begin();
  void OnEnd();

  EventLoop& loop_;
  sandbox::CgroupTree* tree_;
  std::unique_ptr<sandbox::Cgroup> groups_[2];
  sandbox::Child child_;
  UniqueFd longer_;  // A byte into it: another period.
};

}  // namespace hybridserve::launcher
