// Worker: trusted work that would stall the loop (copying, syncing, deleting trees), done in a
// forked child of the launcher, which says how it ended.
//
// Thread rule: one thread, the loop's.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"
#include "launcher/event_loop.h"
#include "sandbox/process.h"

namespace hybridserve::launcher {

class Workers {
 public:
  using Work = std::function<Result<std::string>()>;
  using Done = std::function<void(Result<std::string>)>;

  explicit Workers(EventLoop& loop) : loop_(loop) {}
  /// Kills what still runs.
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  /// Runs `work` in a child; `done` is called on the loop with what it returned (at most 64 KiB).
  /// Both see the descriptors and memory of the moment of the call.
  void Run(Work work, Done done);
  [[nodiscard]] bool Owns(pid_t pid) const { return running_.contains(pid); }

 private:
  struct Running {
    sandbox::Child child;
    UniqueFd answer;
    Done done;
  };
  void OnAnswer(pid_t pid);

  EventLoop& loop_;
  std::map<pid_t, Running> running_;
};

}  // namespace hybridserve::launcher
