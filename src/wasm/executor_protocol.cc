#include "wasm/executor_protocol.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "ipc/seqpacket.h"
#include "ipc/wire.h"

namespace hybridserve {
namespace {

static_assert(std::endian::native == std::endian::little,
              "heads are written as they lie in memory");

constexpr uint8_t kInvokeKind = 'I';
constexpr uint8_t kOutcomeKind = 'O';
constexpr uint8_t kControlKind = 'C';

struct InvokeHead {
  uint8_t version;
  uint8_t kind;
  uint8_t body_in_file;
  uint8_t socket;
  uint32_t variable_count;
  uint64_t id;
  uint64_t module;
  uint32_t load_bytes;
  uint32_t variable_bytes;
  uint64_t body_bytes;
  uint64_t reserved2;
};
static_assert(sizeof(InvokeHead) == kInvokeHeadBytes);

struct OutcomeHead {
  uint8_t version;
  uint8_t kind;
  uint8_t outcome;
  uint8_t flags;
  uint32_t exit_status;
  uint64_t id;
  uint32_t load_us;
  uint32_t instantiate_us;
  uint32_t run_us;
  uint32_t message_bytes;
  uint32_t log_bytes;
  uint32_t reserved;
  uint64_t output_bytes;
  uint64_t peak_memory_bytes;
  uint64_t reserved2;
};
static_assert(sizeof(OutcomeHead) == kOutcomeHeadBytes);
constexpr uint8_t kOutputInFile = 1;
constexpr uint8_t kLoadedNow = 2;

struct ControlHead {
  uint8_t version;
  uint8_t kind;
  uint8_t control;
  uint8_t reserved[5];
  uint64_t id;
};
static_assert(sizeof(ControlHead) == kControlBytes);

template <size_t kBytes, typename Head>
std::array<char, kBytes> ToBytes(const Head& head) {
  return std::bit_cast<std::array<char, kBytes>>(head);
}

template <typename Head>
Result<Head> TakeHead(std::string_view& datagram, uint8_t kind) {
  Head head;
  if (datagram.size() < sizeof(head)) return Fail(Code::kCorrupt, "a datagram is cut off");
  std::memcpy(&head, datagram.data(), sizeof(head));
  if (head.version != kExecutorProtocolVersion || head.kind != kind) {
    return Fail(Code::kCorrupt, "a datagram is of version " + std::to_string(head.version) +
                                    ", kind " + std::to_string(head.kind) + "; expected version " +
                                    std::to_string(kExecutorProtocolVersion) + ", kind " +
                                    std::to_string(kind));
  }
  datagram.remove_prefix(sizeof(head));
  return head;
}

std::string_view Take(std::string_view& rest, size_t bytes) {
  const std::string_view taken = rest.substr(0, bytes);
  rest.remove_prefix(taken.size());
  return taken;
}

// Whether `block` is `count` strings, each ended by a zero byte.
bool IsStringBlock(std::string_view block, uint32_t count) {
  const auto zeros = std::count(block.begin(), block.end(), '\0');
  return zeros == static_cast<int64_t>(count) && (block.empty() || block.back() == '\0');
}

}  // namespace

Result<std::string> EncodeLoad(const ModuleLoad& load) {
  if (load.environment.size() > kMaxEnvironmentBytes) {
    return Fail(Code::kTooLarge, "the environment has " + std::to_string(load.environment.size()) +
                                     " bytes; at most " + std::to_string(kMaxEnvironmentBytes) +
                                     " are possible for a Wasm function");
  }
  if (load.folders.size() > kMaxFolders) {
    return Fail(Code::kTooLarge, std::to_string(load.folders.size()) +
                                     " folders are granted; at most " +
                                     std::to_string(kMaxFolders) + " are possible");
  }
  ipc::Writer writer;
  writer.Put(load.memory_limit_bytes)
      .Put(load.output_limit_bytes)
      .Put(load.disk_limit_bytes)
      .Put(load.run_timeout_us)
      .Put(load.environment_count)
      .PutString(load.environment)
      .Put(static_cast<uint8_t>(load.folders.size()));
  for (const ModuleLoad::Folder& folder : load.folders) {
    writer.PutString(folder.guest_path).Put(static_cast<uint8_t>(folder.writable));
  }
  return writer.Take();
}

Result<ModuleLoad> DecodeLoad(std::string_view bytes) {
  ipc::Reader reader(bytes);
  ModuleLoad load;
  load.memory_limit_bytes = reader.Get<uint64_t>();
  load.output_limit_bytes = reader.Get<uint64_t>();
  load.disk_limit_bytes = reader.Get<uint64_t>();
  load.run_timeout_us = reader.Get<uint64_t>();
  load.environment_count = reader.Get<uint32_t>();
  load.environment = reader.GetString(kMaxEnvironmentBytes);
  const auto folders = reader.Get<uint8_t>();
  for (uint8_t i = 0; i < folders && !reader.failed(); ++i) {
    ModuleLoad::Folder folder;
    folder.guest_path = reader.GetString(4096);
    folder.writable = reader.Get<uint8_t>() != 0;
    load.folders.push_back(std::move(folder));
  }
  if (!reader.Done() || folders > kMaxFolders ||
      !IsStringBlock(load.environment, load.environment_count)) {
    return Fail(Code::kCorrupt, "a module's load is malformed");
  }
  return load;
}

std::array<char, kInvokeHeadBytes> EncodeInvokeHead(const InvokeMessage& invoke) {
  return ToBytes<kInvokeHeadBytes>(InvokeHead{
      .version = kExecutorProtocolVersion,
      .kind = kInvokeKind,
      .body_in_file = static_cast<uint8_t>(invoke.body_in_file),
      .socket = static_cast<uint8_t>(invoke.socket),
      .variable_count = invoke.variable_count,
      .id = invoke.id,
      .module = invoke.module,
      .load_bytes = static_cast<uint32_t>(invoke.load.size()),
      .variable_bytes = static_cast<uint32_t>(invoke.request_variables.size()),
      .body_bytes = invoke.body_bytes,
      .reserved2 = 0,
  });
}

Result<InvokeMessage> DecodeInvoke(std::string_view datagram) {
  TRY_ASSIGN(const auto head, TakeHead<InvokeHead>(datagram, kInvokeKind));
  const uint64_t inline_body = head.body_in_file != 0 ? 0 : head.body_bytes;
  if (head.id == 0 || head.module == 0 || head.variable_bytes > kMaxVariableBytes ||
      inline_body > ipc::kMaxInlineBytes ||
      datagram.size() != uint64_t{head.load_bytes} + head.variable_bytes + inline_body) {
    return Fail(Code::kCorrupt, "an invocation's datagram is malformed");
  }
  InvokeMessage invoke{.id = head.id,
                       .module = head.module,
                       .variable_count = head.variable_count,
                       .body_bytes = head.body_bytes,
                       .body_in_file = head.body_in_file != 0,
                       .socket = head.socket != 0};
  invoke.load = Take(datagram, head.load_bytes);
  invoke.request_variables = Take(datagram, head.variable_bytes);
  invoke.body = datagram;
  if (!IsStringBlock(invoke.request_variables, invoke.variable_count)) {
    return Fail(Code::kCorrupt, "an invocation's variables are malformed");
  }
  return invoke;
}

std::array<char, kOutcomeHeadBytes> EncodeOutcomeHead(const Outcome& outcome) {
  uint8_t flags = outcome.output_in_file ? kOutputInFile : 0;
  if (outcome.loaded_now) flags |= kLoadedNow;
  return ToBytes<kOutcomeHeadBytes>(OutcomeHead{
      .version = kExecutorProtocolVersion,
      .kind = kOutcomeKind,
      .outcome = static_cast<uint8_t>(outcome.kind),
      .flags = flags,
      .exit_status = outcome.exit_status,
      .id = outcome.id,
      .load_us = outcome.load_us,
      .instantiate_us = outcome.instantiate_us,
      .run_us = outcome.run_us,
      .message_bytes = static_cast<uint32_t>(outcome.message.size()),
      .log_bytes = static_cast<uint32_t>(outcome.log.size()),
      .reserved = 0,
      .output_bytes = outcome.output_bytes,
      .peak_memory_bytes = outcome.peak_memory_bytes,
      .reserved2 = 0,
  });
}

Result<Outcome> DecodeOutcome(std::string_view datagram) {
  TRY_ASSIGN(const auto head, TakeHead<OutcomeHead>(datagram, kOutcomeKind));
  const bool in_file = (head.flags & kOutputInFile) != 0;
  const uint64_t inline_output = in_file ? 0 : head.output_bytes;
  if (head.outcome > static_cast<uint8_t>(kLastOutcomeKind) ||
      head.message_bytes > kMaxMessageBytes || head.log_bytes > kMaxLogBytes ||
      inline_output > ipc::kMaxInlineBytes ||
      datagram.size() != uint64_t{head.message_bytes} + head.log_bytes + inline_output) {
    return Fail(Code::kCorrupt, "an executor's answer is malformed");
  }
  Outcome outcome{.id = head.id,
                  .kind = static_cast<OutcomeKind>(head.outcome),
                  .loaded_now = (head.flags & kLoadedNow) != 0,
                  .exit_status = head.exit_status,
                  .load_us = head.load_us,
                  .instantiate_us = head.instantiate_us,
                  .run_us = head.run_us,
                  .peak_memory_bytes = head.peak_memory_bytes,
                  .output_bytes = head.output_bytes,
                  .output_in_file = in_file};
  outcome.message = Take(datagram, head.message_bytes);
  outcome.log = Take(datagram, head.log_bytes);
  outcome.output = datagram;
  return outcome;
}

std::array<char, kControlBytes> EncodeControl(const Control& control) {
  return ToBytes<kControlBytes>(ControlHead{.version = kExecutorProtocolVersion,
                                            .kind = kControlKind,
                                            .control = static_cast<uint8_t>(control.kind),
                                            .reserved = {},
                                            .id = control.id});
}

Result<Control> DecodeControl(std::string_view datagram) {
  TRY_ASSIGN(const auto head, TakeHead<ControlHead>(datagram, kControlKind));
  if (!datagram.empty() || head.control > static_cast<uint8_t>(ControlKind::kCancel)) {
    return Fail(Code::kCorrupt, "a control datagram is malformed");
  }
  return Control{.kind = static_cast<ControlKind>(head.control), .id = head.id};
}

}  // namespace hybridserve
