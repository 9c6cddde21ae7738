// Protocol: the bytes of the launcher's datagrams, the same code at both ends.
//
// A request is {u16 version, u16 verb, u64 id, body}; its answer {version, kAnswer, the same id,
// u8 code, string message, result}, where code 0 is success; an event {version, verb, 0, body}.
// Decoders take hostile bytes: every field is bounded, and a message with bytes missing or left
// over is refused whole. What a value may be is checked by whoever acts on it.
//
// Thread rule: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "ipc/wire.h"
#include "launcher/messages.h"

namespace hybridserve::launcher {

inline constexpr uint16_t kVersion = 1;

/// The environment variable that names the server's end of the socket.
inline constexpr char kSocketVariable[] = "HYBRIDSERVE_LAUNCHER_FD";

enum class Verb : uint16_t {
  kHello = 1,
  kStartExecutor,
  kKillExecutor,
  kRunJob,
  kUnpackImage,
  kRemoveImage,
  kCreateSandbox,
  kStartSandbox,
  kMakeSockets,
  kStats,
  kDestroySandbox,
  kList,
  kOpenFolder,
  kReady,
  kMakeListener,
  kFreezeSandbox,
  kThawSandbox,
  kPrepareImage,
  kOpenAgent,
  kSettleSandbox,
  kAnswer = 100,
  kExecutorExited,
  kSandboxExited,
};

struct Header {
  Verb verb = Verb::kHello;
  uint64_t id = 0;
};

void PutHeader(ipc::Writer& writer, Verb verb, uint64_t id);
/// Nothing for another version or a datagram that is too short.
std::optional<Header> GetHeader(ipc::Reader& reader);

/// The answer's head; a success's result follows it.
void PutStatus(ipc::Writer& writer, const Result<>& status);
/// The status of an answer; a reader that fails counts as kCorrupt.
Result<> GetStatus(ipc::Reader& reader);

// Bodies of requests. Put... writes one; Get... reads one, or nothing when it is malformed.
void Put(ipc::Writer& writer, const ExecutorSpec& spec);
void Put(ipc::Writer& writer, const JobSpec& spec);
void Put(ipc::Writer& writer, const SandboxSpec& spec);
struct OpenFolderRequest {
  ExecutorId executor;
  std::string path;
  bool writable = false;
};
void Put(ipc::Writer& writer, const OpenFolderRequest& request);
struct MakeSocketsRequest {
  ContainerId id;
  uint32_t count = 0;
};
void Put(ipc::Writer& writer, const MakeSocketsRequest& request);
struct MakeListenerRequest {
  ContainerId id;
  uint16_t port = 0;
};
void Put(ipc::Writer& writer, const MakeListenerRequest& request);

// Results.
/// Without its descriptors, which travel beside: data, then control.
void Put(ipc::Writer& writer, const StartedExecutor& started);
void Put(ipc::Writer& writer, const LauncherAbilities& abilities);
void Put(ipc::Writer& writer, const JobResult& result);
void Put(ipc::Writer& writer, const UnpackedImage& image);
void Put(ipc::Writer& writer, const SandboxUsage& usage);
void Put(ipc::Writer& writer, const SandboxExit& exit);
/// One page of List: asked for by the id after which it starts, at most ipc::kMaxFds long; a full
/// page may have another after it. The logs travel beside, in order, one for each that has one.
void Put(ipc::Writer& writer, const std::vector<AdoptedSandbox>& page);

template <typename T>
T Get(ipc::Reader& reader);
template <>
ExecutorSpec Get(ipc::Reader& reader);
template <>
JobSpec Get(ipc::Reader& reader);
template <>
SandboxSpec Get(ipc::Reader& reader);
template <>
OpenFolderRequest Get(ipc::Reader& reader);
template <>
MakeSocketsRequest Get(ipc::Reader& reader);
template <>
MakeListenerRequest Get(ipc::Reader& reader);
template <>
StartedExecutor Get(ipc::Reader& reader);
template <>
LauncherAbilities Get(ipc::Reader& reader);
template <>
JobResult Get(ipc::Reader& reader);
template <>
UnpackedImage Get(ipc::Reader& reader);
template <>
SandboxUsage Get(ipc::Reader& reader);
template <>
SandboxExit Get(ipc::Reader& reader);
struct AdoptedEntry {
  ContainerId id;
  std::string label;
  bool has_log = false;
};
template <>
std::vector<AdoptedEntry> Get(ipc::Reader& reader);

}  // namespace hybridserve::launcher
