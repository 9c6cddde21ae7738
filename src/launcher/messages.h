// Messages: what the launcher can be asked for, and what it answers. Plain values, shared by the
// server's LauncherClient and the launcher itself.
//
// Thread rule: plain values.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/unique_fd.h"

namespace hybridserve {

/// What this launcher can do here, in words a person can act on.
struct LauncherAbilities {
  bool containers = false;  ///< False: `why_not` says what lacks (root, idmapped mounts, ...).
  std::string why_not;
  std::string runtime;      ///< What makes them: "native", or one behind an agent: "docker".
  std::string runtime_why;  ///< Why this one: "it is configured".
  std::string cgroup;      ///< "v2", "v1 hybrid", "none".
  bool full_jail = false;  ///< False without root: the executor is jailed as far as possible.
};

struct ExecutorSpec {
  std::string engine = "wasmtime";  ///< Program hybridserve-executor-ENGINE beside the launcher's.
  std::string compiler = "cranelift";  ///< One of the engine's (function/engines.h).
  std::string domain;               ///< Trust domain, for names and logs.
  uint32_t threads = 32;
  uint64_t memory_bytes = 0;  ///< Of the whole process; 0: no limit.
};

struct StartedExecutor {
  ExecutorId id;
  int32_t pid = -1;  ///< As the launcher and the server see it.
  UniqueFd data;     ///< SEQPACKET: invocations out, results in (executors' protocol).
  UniqueFd control;  ///< SEQPACKET: unload, cancel.
};

/// How a jailed one-shot (a compile, an unpack) ended.
struct JobResult {
  int exit_status = 0;  ///< 0 is success; 128+N when signal N ended it.
  bool out_of_memory = false;
  bool timed_out = false;
  std::string output;  ///< What it wrote to stdout and stderr, at most 64 KiB.
};

struct JobSpec {
  std::string program;  ///< Of an engine: "hybridserve-executor-wasmtime".
  /// "compile" or "fingerprint", alone or with "--compiler" and one of the engine's.
  std::vector<std::string> arguments;
  uint64_t memory_bytes = 1u << 30;    ///< Never 0.
  std::chrono::milliseconds timeout{120000};
  uint32_t cpu_weight_percent = 100;  ///< Of a normal process's share.
};

/// Limits and program of one container; see Manifest for the ranges.
struct SandboxSpec {
  std::string name;   ///< Function name, for logs and the host name inside.
  std::string label;  ///< Opaque to the launcher; given back by List().
  Digest image;       ///< Of an unpacked root file system in the store.
  std::vector<std::string> argv;
  std::map<std::string, std::string> environment;
  std::string working_folder = "/";
  uint32_t uid = 0;  ///< Inside the container.
  uint32_t gid = 0;
  bool writable_root = false;
  uint64_t memory_bytes = 0;
  uint64_t disk_bytes = 0;
  uint32_t pids = 0;
  double cpu_cores = 0;
};

/// What a container has of a normal process's share of the processor (cpu_weight_percent of
/// sandbox/cgroup.h), until it serves and from then on.
inline constexpr uint32_t kBootWeightPercent = 25;
inline constexpr uint32_t kSettledWeightPercent = 100;

struct SandboxUsage {
  uint64_t memory_bytes = 0;
  uint64_t peak_memory_bytes = 0;
  std::chrono::nanoseconds cpu_time{};
  uint32_t processes = 0;
};

struct SandboxExit {
  ContainerId id;
  int status = 0;  ///< Exit status, or 128+N when signal N ended it.
  bool out_of_memory = false;
};

struct AdoptedSandbox {
  ContainerId id;
  std::string label;  ///< Empty: a held one that serves any function.
  UniqueFd log;
};

/// A root file system in the launcher's store.
struct UnpackedImage {
  Digest image;
  std::string config_json;  ///< The image's run configuration, as the unpacker printed it.
  uint64_t bytes = 0;
};

}  // namespace hybridserve
