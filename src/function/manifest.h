// Manifest: what `function.toml` says about one function, checked and with every default filled in.
//
// Unknown keys, wrong units and missing files are errors that name the file and line.
//
// Thread rule: plain values.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "function/engines.h"

namespace hybridserve {

/// Who decides where a request runs (design: policies).
enum class PolicyKind : uint8_t { kPaper, kWasmOnly, kContainerOnly };

/// When a module is compiled ahead of time.
enum class AotTime : uint8_t { kDeploy, kFirstRun };

/// One host folder that the guest sees. Nothing else of the host is visible.
struct FolderGrant {
  std::string host_path;   ///< Absolute. The node's configuration must allow it.
  std::string guest_path;  ///< Absolute, as the guest names it.
  bool writable = false;
  bool operator==(const FolderGrant&) const = default;
};

struct Limits {
  uint64_t memory_bytes = 128u << 20;             ///< Of one instance or one container. 1 MiB..64 GiB.
  uint64_t body_bytes = 6u << 20;                 ///< Largest request body. 0..16 GiB (container).
  uint64_t response_bytes = 16u << 20;            ///< Largest Wasm response. 1 KiB..1 GiB.
  uint32_t concurrency = 64;                      ///< Wasm instances at once. 1..1024.
  uint32_t queue = 128;                           ///< Requests that may wait. 0..65536.
  uint32_t pids = 128;                            ///< Processes and threads of a container. 1..32768.
  double cpu_cores = 0;                           ///< CPU of a container; 0 means no limit. 0.01..1024.
  uint64_t disk_bytes = 64u << 20;                ///< Container's tmpfs, Wasm's /tmp. 0..64 GiB.
  std::chrono::milliseconds queue_timeout{5000};  ///< Waiting for a slot.
  std::chrono::milliseconds start_timeout{10000}; ///< Waiting for a container to listen.
  std::chrono::milliseconds run_timeout{30000};   ///< From the guest's start to its last byte.
  bool operator==(const Limits&) const = default;
};

struct Scale {
  uint32_t min_warm = 0;                        ///< Containers kept although idle. 0..max_containers.
  uint32_t max_containers = 1;                  ///< 0 forbids containers. 0..1024.
  uint32_t slots = 4;                           ///< Requests at once in one container. 1..1024.
  std::chrono::milliseconds keep_alive{60000};  ///< Idle time before a container, or the code, goes.
  std::chrono::milliseconds freeze_after{1000};  ///< Idle time before a container is frozen; 0: never.
  bool operator==(const Scale&) const = default;
};

struct WasmBuild {
  std::string module;                 ///< Path of the .wasm file, relative to the manifest.
  std::string build;                  ///< Shell command of `hybridserve build`; empty: nothing to do.
  AotTime aot = AotTime::kDeploy;
  EngineChoice engine;  ///< What it runs in; empty fields: the node's, the default.
  bool operator==(const WasmBuild&) const = default;
};

struct ContainerBuild {
  std::string image;                  ///< OCI layout folder or tar, or `docker save` tar; relative.
  std::string build;                  ///< Shell command run before the image is packed.
  std::string binary;                 ///< Static program to pack as /function; empty: `image` is given.
  std::string base = "scratch";       ///< "scratch" or "debian": what the packed image starts from.
  std::vector<std::string> variants;  ///< Other bases to pack as well, each into an image of its own.
  bool stdio = false;                 ///< Pack hybridserve-init: the program reads stdin, writes stdout.
  std::vector<std::string> command;   ///< Overrides the image's entrypoint and command; may be empty.
  bool writable_root = false;         ///< A tmpfs upper layer of `disk` bytes instead of read-only.
  bool operator==(const ContainerBuild&) const = default;
};

struct Manifest {
  FunctionName name;
  std::string description;
  std::string domain = "default";                 ///< Trust domain: others never share an executor.
  std::vector<std::string> hosts;                 ///< Host names routed to this function.
  std::optional<PolicyKind> policy;               ///< Overrides the node's.
  bool idempotent = false;                        ///< Any request may run twice, not only GET and HEAD.
  std::optional<WasmBuild> wasm;
  std::optional<ContainerBuild> container;
  Limits limits;
  Scale scale;
  std::map<std::string, std::string> environment;
  std::map<std::string, std::string> secrets;     ///< Variable name to the file that holds its value.
  std::vector<FolderGrant> folders;
  std::vector<std::string> network;               ///< Hosts it may call, as NetworkPattern; empty: none.
  std::string access_keys;                        ///< Node's file with hashes of keys; empty: open.
  bool operator==(const Manifest&) const = default;
};

/// Parses and checks `text`; `file` only names it in errors ("hello/function.toml:7: ...").
/// Touches no file. At least one of [wasm] and [container] must be there.
Result<Manifest> ParseManifest(std::string_view text, std::string_view file);

/// Reads `folder`/function.toml (or the file itself when the path is one).
Result<Manifest> ReadManifest(const std::filesystem::path& path);

/// The manifest as JSON, as the admin API and the registry keep it, and back.
std::string ManifestToJson(const Manifest& manifest);
Result<Manifest> ManifestFromJson(std::string_view json);

/// True for [a-z0-9][a-z0-9_-]{0,62}; the error says what is wrong with `name`.
Result<> CheckFunctionName(std::string_view name);

/// "paper", "wasm-only", "container-only".
std::string_view PolicyName(PolicyKind policy);
Result<PolicyKind> ParsePolicy(std::string_view name);

}  // namespace hybridserve
