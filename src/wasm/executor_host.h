// ExecutorHost: what the pool of executors needs of the launcher. Tests start processes by hand.
//
// Thread rule: the event loop's thread only.
#pragma once

#include <string>
#include <vector>

#include "base/awaitable.h"
#include "base/unique_fd.h"
#include "launcher/messages.h"

namespace hybridserve {

class LauncherClient;

/// The meanings are those of LauncherClient.
class ExecutorHost {
 public:
  virtual ~ExecutorHost() = default;
  virtual Awaitable<StartedExecutor> StartExecutor(ExecutorSpec spec) = 0;
  virtual Awaitable<> KillExecutor(ExecutorId id) = 0;
  virtual Awaitable<JobResult> RunJob(JobSpec spec, std::vector<int> fds) = 0;
  virtual Awaitable<UniqueFd> OpenFolder(ExecutorId executor, std::string path, bool writable) = 0;
};

/// The real one: the launcher's socket.
class LauncherExecutorHost : public ExecutorHost {
 public:
  /// `client` outlives it.
  explicit LauncherExecutorHost(LauncherClient& client) : client_(client) {}
  Awaitable<StartedExecutor> StartExecutor(ExecutorSpec spec) override;
  Awaitable<> KillExecutor(ExecutorId id) override;
  Awaitable<JobResult> RunJob(JobSpec spec, std::vector<int> fds) override;
  Awaitable<UniqueFd> OpenFolder(ExecutorId executor, std::string path, bool writable) override;

 private:
  LauncherClient& client_;
};

}  // namespace hybridserve
