// Executor protocol: the datagrams between the server and an executor, over two SEQPACKET sockets.
//
// Data socket (the executor's descriptor 3): Invoke to the executor, Outcome back. Idle threads of
// the executor all block in recvmsg on it, so the kernel hands each Invoke to one of them.
// Control socket (descriptor 4): Unload and Cancel to the executor, nothing back. Closing either
// ends the executor.
//
// A function's code is known to an executor by a module number that is never used again. Every
// Invoke of a module carries its Load, with the native code's descriptor, until one of them has
// succeeded; then the number alone is enough. Bodies over ipc::kMaxInlineBytes travel as a memfd.
//
// Invoke   head | load | request variables | body        + [code, folders...] [body] [socket]
// Outcome  head | message | log | output                 + [output]
// Control  head
//
// Decoders treat their input as hostile. Views point into the datagram.
//
// Thread rule: plain values and pure functions.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "function/bounds.h"

namespace hybridserve {

inline constexpr uint8_t kExecutorProtocolVersion = 2;
/// Of all request variables together.
inline constexpr uint32_t kMaxVariableBytes = 48 * 1024;
/// Of an Outcome's message and log.
inline constexpr uint32_t kMaxMessageBytes = 4 * 1024;
inline constexpr uint32_t kMaxLogBytes = 16 * 1024;

/// What an executor needs to know of a function once: its limits, its environment and its folders.
struct ModuleLoad {
  uint64_t memory_limit_bytes = 0;
  uint64_t output_limit_bytes = 0;
  uint64_t disk_limit_bytes = 0;  ///< Of an invocation's /tmp; 0: it has none.
  uint64_t run_timeout_us = 0;
  /// "NAME=VALUE" strings, each ended by a zero byte.
  std::string environment;
  uint32_t environment_count = 0;
  struct Folder {
    std::string guest_path;
    bool writable = false;
    bool operator==(const Folder&) const = default;
  };
  std::vector<Folder> folders;  ///< Their descriptors follow the code's, in this order.
  bool operator==(const ModuleLoad&) const = default;
};

/// The load's bytes, to be sent with each Invoke until it is acknowledged.
/// Errors: kTooLarge the environment or the folders are over their limits.
Result<std::string> EncodeLoad(const ModuleLoad& load);
Result<ModuleLoad> DecodeLoad(std::string_view bytes);

struct InvokeMessage {
  uint64_t id = 0;                     ///< Never 0 and never used again.
  uint64_t module = 0;                 ///< Never 0.
  std::string_view load;               ///< Of EncodeLoad; empty: the module is loaded already.
  std::string_view request_variables;  ///< "NAME=VALUE" strings, each ended by a zero byte.
  uint32_t variable_count = 0;
  uint64_t body_bytes = 0;
  std::string_view body;      ///< Empty when it travels in a descriptor.
  bool body_in_file = false;  ///< The last descriptor but the socket's holds it.
  bool socket = false;        ///< The last descriptor is a stream socket for the guest.
};

inline constexpr size_t kInvokeHeadBytes = 48;
/// The head of the datagram; the load, the variables and the body follow it, as given.
std::array<char, kInvokeHeadBytes> EncodeInvokeHead(const InvokeMessage& invoke);
Result<InvokeMessage> DecodeInvoke(std::string_view datagram);

/// How an invocation ended.
enum class OutcomeKind : uint8_t {
  kDone,      ///< _start returned, or the guest exited with 0.
  kExit,      ///< The guest exited with another status.
  kTrap,      ///< The guest trapped; the message tells where.
  kDeadline,  ///< run_timeout passed.
  kCancelled,
  kMemoryLimit,  ///< It failed after it was refused memory over its limit.
  kOutputLimit,  ///< It wrote more than output_limit_bytes.
  kLoadFailed,   ///< The native code could not be loaded.
  kInternal,     ///< The executor failed.
};
inline constexpr auto kLastOutcomeKind = OutcomeKind::kInternal;

struct Outcome {
  uint64_t id = 0;
  OutcomeKind kind = OutcomeKind::kInternal;
  bool loaded_now = false;  ///< This invocation loaded the module.
  uint32_t exit_status = 0;
  uint32_t load_us = 0;  ///< Mapping the native code; 0 when it was there.
  uint32_t instantiate_us = 0;
  uint32_t run_us = 0;
  uint64_t peak_memory_bytes = 0;  ///< Of the guest's linear memories together.
  std::string_view message;        ///< What went wrong, for a person; empty for kDone.
  std::string_view log;            ///< The guest's standard error.
  uint64_t output_bytes = 0;
  std::string_view output;      ///< Empty when it travels in a descriptor.
  bool output_in_file = false;  ///< The only descriptor holds it.
};

inline constexpr size_t kOutcomeHeadBytes = 64;
/// The head of the datagram; the message, the log and the output follow it, as given.
std::array<char, kOutcomeHeadBytes> EncodeOutcomeHead(const Outcome& outcome);
Result<Outcome> DecodeOutcome(std::string_view datagram);

enum class ControlKind : uint8_t { kUnload, kCancel };

struct Control {
  ControlKind kind = ControlKind::kUnload;
  uint64_t id = 0;  ///< Of the module, or of the invocation.
};

inline constexpr size_t kControlBytes = 16;
std::array<char, kControlBytes> EncodeControl(const Control& control);
Result<Control> DecodeControl(std::string_view datagram);

}  // namespace hybridserve
