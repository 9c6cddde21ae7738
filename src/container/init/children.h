// Children: the processes that this init starts, one a request, and the orphans it inherits as
// PID 1.
//
// Thread rule: Spawn from any thread; Reap from the thread that waits for SIGCHLD.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace hybridserve::init {

/// One process started for a request. Killed with its whole process group when destroyed.
class Child {
 public:
  Child() = default;
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child();

  /// Readable once the process has ended.
  [[nodiscard]] int ended_fd() const { return ended_.get(); }
  /// The wait status; only once ended_fd() is readable.
  [[nodiscard]] int wait_status() const { return wait_status_; }
  /// Ends the process and what it started, as far as that stayed in its process group.
  void Kill() const;

 private:
  friend class Children;
  pid_t pid_ = 0;
  UniqueFd ended_;
  std::atomic<int> wait_status_ = 0;  // Written before ended_ is signalled.
  class Children* owner_ = nullptr;
};

class Children {
 public:
  /// Starts `argv` with `input` and `output` as its stdin and stdout; stderr is ours.
  /// Errors: kInvalidArgument the program cannot be run, naming it; kInternal no process to be had.
  Result<std::unique_ptr<Child>> Spawn(const std::vector<std::string>& argv,
                                       const std::vector<std::string>& environment, int input,
                                       int output);

  /// Collects every process that has ended, ours and orphans.
  void Reap();

 private:
  friend class Child;
  std::mutex mutex_;
  std::map<pid_t, Child*> running_;  // Guarded by mutex_.
};

}  // namespace hybridserve::init
