// SpawningHost: an ExecutorHost for tests, which starts the real programs by hand, without a
// launcher and without the jail that it would build.
//
// Thread rule: one thread. RunJob blocks.
#pragma once

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

#include "base/file.h"
#include "wasm/executor_host.h"

namespace hybridserve {

class SpawningHost : public ExecutorHost {
 public:
  ~SpawningHost() override;

  Awaitable<StartedExecutor> StartExecutor(ExecutorSpec spec) override;
  Awaitable<> KillExecutor(ExecutorId id) override;
  Awaitable<JobResult> RunJob(JobSpec spec, std::vector<int> fds) override;
  Awaitable<UniqueFd> OpenFolder(ExecutorId executor, std::string path, bool writable) override;

  /// Of the executor that was started last.
  [[nodiscard]] pid_t last_pid() const { return last_pid_; }
  [[nodiscard]] int started() const { return started_; }
  /// Compile jobs that were run.
  [[nodiscard]] int compiled() const { return compiled_; }
  /// Where guests' /tmp are made.
  [[nodiscard]] const std::filesystem::path& scratch_folder() const { return scratch_.path(); }
  /// The next starts fail.
  void RefuseStarts(bool refuse) { refuse_ = refuse; }

 private:
  TemporaryFolder scratch_;
  std::map<uint64_t, pid_t> running_;
  pid_t last_pid_ = 0;
  int started_ = 0;
  int compiled_ = 0;
  bool refuse_ = false;
};

/// Runs a program beside this one with `fds` as its descriptors 3, 4, ... and waits for its end.
JobResult RunProgram(const std::string& program, const std::vector<std::string>& arguments,
                     const std::vector<int>& fds);

/// "--no-lockdown" where a sanitizer needs system calls that the filter forbids; else nothing.
std::vector<std::string> LockdownArguments();

}  // namespace hybridserve
