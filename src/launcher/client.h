// LauncherClient: the server's side of the launcher's socket. The launcher is the only privileged
// process; this is all it can be asked for.
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

namespace hybridserve {

/// What this launcher can do here, in words a person can act on.
struct LauncherAbilities {
  bool containers = false;       ///< False: `why_not` says what lacks (root, idmapped mounts, ...).
  std::string why_not;
  std::string cgroup;            ///< "v2", "v1 hybrid", "none".
  bool full_jail = false;        ///< False without root: the executor is jailed as far as possible.
};

struct ExecutorSpec {
  std::string engine = "wasmtime";   ///< Program hybridserve-executor-ENGINE beside the launcher's.
  std::string domain;                ///< Trust domain, for names and logs.
  uint32_t threads = 32;
  uint64_t memory_bytes = 0;         ///< Of the whole process; 0: no limit.
};

struct StartedExecutor {
  ExecutorId id;
  UniqueFd data;      ///< SEQPACKET: invocations out, results in (executors' protocol).
  UniqueFd control;   ///< SEQPACKET: unload, cancel.
};

/// How a jailed one-shot (a compile, an unpack) ended.
struct JobResult {
  int exit_status = 0;               ///< 0 is success; 128+N when signal N ended it.
  bool out_of_memory = false;
  bool timed_out = false;
  std::string output;                ///< What it wrote to stdout and stderr, at most 64 KiB.
};

struct JobSpec {
  std::string program;               ///< "hybridserve-executor-wasmtime" or "hybridserve-unpack" only.
  std::vector<std::string> arguments;
  uint64_t memory_bytes = 1u << 30;
  std::chrono::milliseconds timeout{120000};
  uint32_t cpu_weight_percent = 100; ///< Of a normal process's share.
};

/// Limits and program of one container; see Manifest for the ranges.
struct SandboxSpec {
  std::string name;                  ///< Function name, for logs and the host name inside.
  std::string label;                 ///< Opaque to the launcher; given back by List().
  Digest image;                      ///< Of an unpacked root file system in the store.
  std::vector<std::string> argv;
  std::map<std::string, std::string> environment;
  std::string working_folder = "/";
  uint32_t uid = 0;                  ///< Inside the container.
  uint32_t gid = 0;
  bool writable_root = false;
  uint64_t memory_bytes = 0;
  uint64_t disk_bytes = 0;
  uint32_t pids = 0;
  double cpu_cores = 0;
};

struct SandboxUsage {
  uint64_t memory_bytes = 0;
  uint64_t peak_memory_bytes = 0;
  std::chrono::nanoseconds cpu_time{};
  uint32_t processes = 0;
};

struct SandboxExit {
  ContainerId id;
  int status = 0;                    ///< Exit status, or 128+N when signal N ended it.
  bool out_of_memory = false;
};

struct AdoptedSandbox {
  ContainerId id;
  std::string label;                 ///< Empty: a held one that serves any function.
  UniqueFd log;
};

class LauncherClient {
 public:
  struct Events {
    std::function<void(ExecutorId, int status)> executor_exited;
    std::function<void(const SandboxExit&)> sandbox_exited;
    std::function<void()> launcher_gone;   ///< The server cannot go on without it.
  };

  /// `socket` is the SEQPACKET the launcher handed over at start.
  LauncherClient(boost::asio::any_io_executor executor, UniqueFd socket, Events events);
  ~LauncherClient();

  Awaitable<LauncherAbilities> Hello();

  Awaitable<StartedExecutor> StartExecutor(ExecutorSpec spec);
  Awaitable<> KillExecutor(ExecutorId id);

  /// Runs a jailed one-shot with `fds` as its descriptors 3, 4, ... (the caller keeps its own).
  /// An Error means the job could not be run; a job that failed is a JobResult.
  Awaitable<JobResult> RunJob(JobSpec spec, std::vector<int> fds);

  /// Unpacks the image archive `archive` into the store as root file system `image`, in a jail.
  /// Idempotent: an image that is there answers at once. `config_json` is the image's run
  /// configuration as hybridserve-unpack printed it.
  struct UnpackedImage { Digest image; std::string config_json; uint64_t bytes = 0; };
  Awaitable<UnpackedImage> UnpackImage(int archive, Digest archive_digest);
  Awaitable<> RemoveImage(Digest image);

  /// A generic sandbox: every namespace and cgroup done, nothing of a function in it.
  Awaitable<ContainerId> CreateSandbox();
  /// Gives a created sandbox its root file system and runs the program. The descriptor is the read
  /// end of its stdout and stderr.
  Awaitable<UniqueFd> StartSandbox(ContainerId id, SandboxSpec spec);
  /// `count` (1..8) unconnected, non-blocking TCP sockets made in the sandbox's network namespace.
  Awaitable<std::vector<UniqueFd>> MakeSockets(ContainerId id, uint32_t count);
  Awaitable<SandboxUsage> Stats(ContainerId id);
  /// Kills everything in it and removes every trace. Idempotent.
  Awaitable<> DestroySandbox(ContainerId id);
  Awaitable<std::vector<AdoptedSandbox>> List();

  /// A descriptor of a host folder as a mount of its own: nothing above it can be reached through
  /// it. Refused unless the node's configuration, as the launcher read it, allows the folder.
  Awaitable<UniqueFd> OpenFolder(std::string path, bool writable);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hybridserve
