// Requests: a datagram from the server, decoded and checked. The server runs without privileges and
// reads HTTP from anyone, so the launcher takes nothing it sends for granted: every string, count
// and number is bounded here, before anything acts on it.
//
// Thread rule: pure functions.
#pragma once

#include <cstdint>
#include <string_view>
#include <variant>

#include "base/ids.h"
#include "base/result.h"
#include "launcher/messages.h"
#include "launcher/protocol.h"

namespace hybridserve::launcher {

inline constexpr size_t kMaxJobFds = 2;  ///< A module, and the file for its code.
inline constexpr uint32_t kMaxSocketsAtOnce = 8;
inline constexpr uint16_t kMinListenerPort = 1024;  ///< Of a listener inside; up to 65535.

struct HelloRequest {};
struct KillExecutorRequest {
  ExecutorId id;
};
struct UnpackImageRequest {
  Digest archive;
};
struct RemoveImageRequest {
  Digest image;
};
struct PrepareImageRequest {
  Digest image;
};
struct OpenAgentRequest {};
struct CreateSandboxRequest {};
struct StartSandboxRequest {
  ContainerId id;
  SandboxSpec spec;
};
struct StatsRequest {
  ContainerId id;
};
struct FreezeSandboxRequest {
  ContainerId id;
};
struct ThawSandboxRequest {
  ContainerId id;
};
struct SettleSandboxRequest {
  ContainerId id;
};
struct DestroySandboxRequest {
  ContainerId id;
};
struct ListRequest {
  ContainerId after;
};
struct ReadyRequest {};

using RequestBody =
    std::variant<HelloRequest, ExecutorSpec, KillExecutorRequest, JobSpec, UnpackImageRequest,
                 RemoveImageRequest, CreateSandboxRequest, StartSandboxRequest, MakeSocketsRequest,
                 StatsRequest, DestroySandboxRequest, ListRequest, OpenFolderRequest,
                 ReadyRequest, MakeListenerRequest, FreezeSandboxRequest, ThawSandboxRequest,
                 PrepareImageRequest, OpenAgentRequest, SettleSandboxRequest>;

/// Decodes the body of a request whose header is read, and checks every value. `fds` is how many
/// descriptors came with it.
///
/// Errors: kInvalidArgument what is malformed or out of range, with its value.
Result<RequestBody> DecodeRequest(Verb verb, ipc::Reader& reader, size_t fds);

}  // namespace hybridserve::launcher
