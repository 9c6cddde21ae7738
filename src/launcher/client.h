// LauncherClient: the server's side of the launcher's socket, and of an agent's, which knows the
// verbs of SandboxHost and images. The two are the privileged processes of a node; this is all they
// can be asked for.
//
// Requests may overlap; each awaits its own answer. Descriptors it returns are close-on-exec.
//
// Thread rule: the event loop's thread only.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/awaitable.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "launcher/messages.h"
#include "launcher/sandbox_host.h"

namespace hybridserve {

class LauncherClient : public SandboxHost {
 public:
  struct Events {
    std::function<void(ExecutorId, int status)> executor_exited;
    std::function<void(const SandboxExit&)> sandbox_exited;
    std::function<void()> launcher_gone;  ///< The server cannot go on without it.
    std::string peer = "launcher";        ///< For error messages: an agent is one, too.
  };

  /// `socket` is the SEQPACKET the launcher handed over at start.
  LauncherClient(boost::asio::any_io_executor executor, UniqueFd socket, Events events);
  ~LauncherClient() override;

  Awaitable<LauncherAbilities> Hello();
  /// The server serves: should it die from now on, the launcher starts it again at once.
  Awaitable<> Ready();

  Awaitable<StartedExecutor> StartExecutor(ExecutorSpec spec);
  Awaitable<> KillExecutor(ExecutorId id);

  /// Runs a jailed one-shot with `fds` as its descriptors 3, 4, ... (the caller keeps its own).
  /// An Error means the job could not be run; a job that failed is a JobResult.
  Awaitable<JobResult> RunJob(JobSpec spec, std::vector<int> fds);

  /// Unpacks the image archive `archive` into the store as root file system `image`, in a jail.
  /// Idempotent: an image that is there answers at once. `config_json` is the image's run
  /// configuration as hybridserve-unpack printed it.
  Awaitable<UnpackedImage> UnpackImage(int archive, Digest archive_digest);
  Awaitable<> RemoveImage(Digest image);
  /// Makes an image of the store known to the runtime that will run it. Asked of an agent; our own
  /// sandboxes run what is in the store.
  Awaitable<> PrepareImage(Digest image);

  /// The socket of an agent that is started for this, and ended with an earlier one: a
  /// LauncherClient on it is the SandboxHost of the operator's runtime.
  /// Errors: kUnsupported the node's containers are our own, or there are none.
  Awaitable<UniqueFd> OpenAgent();

  // SandboxHost: our own sandboxes.
  Awaitable<ContainerId> CreateSandbox() override;
  Awaitable<UniqueFd> StartSandbox(ContainerId id, SandboxSpec spec) override;
  Awaitable<std::vector<UniqueFd>> MakeSockets(ContainerId id, uint32_t count) override;
  Awaitable<UniqueFd> MakeListener(ContainerId id, uint16_t port) override;
  Awaitable<> FreezeSandbox(ContainerId id) override;
  Awaitable<> ThawSandbox(ContainerId id) override;
  Awaitable<> SettleSandbox(ContainerId id) override;
  Awaitable<SandboxUsage> Stats(ContainerId id) override;
  Awaitable<> DestroySandbox(ContainerId id) override;
  Awaitable<std::vector<AdoptedSandbox>> List() override;

  /// A descriptor of a host folder as a mount of its own, for one executor: nothing above it can be
  /// reached through it. Refused unless the node's configuration, as the launcher read it, allows
  /// the folder. Errors: kNotFound also when the executor is gone.
  Awaitable<UniqueFd> OpenFolder(ExecutorId executor, std::string path, bool writable);

  struct Impl;

 private:
  std::shared_ptr<Impl> impl_;  // Shared by: this object and calls that are under way.
};

}  // namespace hybridserve
