#include "wasm/executor_host.h"

#include "launcher/client.h"

namespace hybridserve {

Awaitable<StartedExecutor> LauncherExecutorHost::StartExecutor(ExecutorSpec spec) {
  return client_.StartExecutor(std::move(spec));
}

Awaitable<> LauncherExecutorHost::KillExecutor(ExecutorId id) { return client_.KillExecutor(id); }

Awaitable<JobResult> LauncherExecutorHost::RunJob(JobSpec spec, std::vector<int> fds) {
  return client_.RunJob(std::move(spec), std::move(fds));
}

Awaitable<UniqueFd> LauncherExecutorHost::OpenFolder(ExecutorId executor, std::string path,
                                                     bool writable) {
  return client_.OpenFolder(executor, std::move(path), writable);
}

}  // namespace hybridserve
