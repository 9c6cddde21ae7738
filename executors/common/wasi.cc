#include "executors/common/wasi.h"

#include <sys/random.h>
#include <time.h>

#include <algorithm>
#include <cerrno>

namespace hybridserve::wasi {
namespace {

constexpr std::string_view kProgramName("function\0", 9);
const Folder kScratchFolder{.guest_path = "/tmp", .writable = true};

uint32_t Code(Errno error) { return static_cast<uint32_t>(error); }
constexpr uint32_t kOk = 0;

int64_t ReadClock(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

// Writes a block of zero-ended strings at `buffer` and the strings' addresses at `pointers`.
bool WriteBlock(const GuestMemory& memory, const StringBlock& block, uint64_t& pointers,
                uint64_t& buffer) {
  if (!memory.WriteBytes(buffer, block.bytes.data(), block.bytes.size())) return false;
  size_t start = 0;
  for (uint32_t i = 0; i < block.count; ++i) {
    if (!memory.Write(pointers, static_cast<uint32_t>(buffer + start))) return false;
    pointers += sizeof(uint32_t);
    start = block.bytes.find('\0', start) + 1;
  }
  buffer += block.bytes.size();
  return true;
}

bool IsGranted(std::span<const Folder> folders, std::string_view path) {
  return std::any_of(folders.begin(), folders.end(),
                     [path](const Folder& folder) { return folder.guest_path == path; });
}

}  // namespace

Wasi::Wasi(Guard& guard) : guard_(guard) {}
Wasi::~Wasi() = default;

void Wasi::Begin(const Invocation& invocation) {
  invocation_ = invocation;
  if (invocation.arguments.count == 0) invocation_.arguments = {kProgramName, 1};
  body_position_ = 0;
  output_.Reset(invocation.output_limit_bytes);
  log_.Reset(kMaxLogBytes);
  stop_reason_ = StopReason::kNone;
  exit_code_ = 0;
  socket_variable_.clear();
  descriptors_.clear();
  descriptors_.resize(3);
  descriptors_[0] = {.kind = Kind::kInput, .readable = true};
  descriptors_[1] = {.kind = Kind::kOutput, .writable = true};
  descriptors_[2] = {.kind = Kind::kLog, .writable = true};
  for (const Folder& folder : invocation.folders) {
    descriptors_.push_back({.kind = Kind::kFolder,
                            .readable = true,
                            .writable = folder.writable,
                            .fd = folder.fd,
                            .preopened = &folder});
  }
  // The number behind the grants is /tmp's, also where there is none: what comes after it has the
  // same number everywhere.
  scratch_.Begin(invocation.scratch);
  Descriptor& tmp = descriptors_.emplace_back();
  if (scratch_.offered() && !IsGranted(invocation.folders, kScratchFolder.guest_path)) {
    tmp = {.kind = Kind::kFolder, .readable = true, .writable = true, .preopened = &kScratchFolder};
  }
  started_monotonic_ns_ = ReadClock(CLOCK_MONOTONIC);
  started_cpu_ns_ = -1;
}

void Wasi::End() {
  descriptors_.clear();
  scratch_.End();
}

uint32_t Wasi::Stopped(StopReason reason) {
  stop_reason_ = reason;
  return kStop;
}

uint32_t Wasi::ArgsSizesGet(Memory m, Arguments a) {
  const StringBlock& arguments = invocation_.arguments;
  const bool ok = m.Write(a[0], arguments.count) &&
                  m.Write(a[1], static_cast<uint32_t>(arguments.bytes.size()));
  return Code(ok ? Errno::kSuccess : Errno::kFault);
}

uint32_t Wasi::ArgsGet(Memory m, Arguments a) {
  uint64_t pointers = a[0];
  uint64_t buffer = a[1];
  const bool ok = WriteBlock(m, invocation_.arguments, pointers, buffer);
  return Code(ok ? Errno::kSuccess : Errno::kFault);
}

uint32_t Wasi::EnvironSizesGet(Memory m, Arguments a) {
  const StringBlock& request = invocation_.request_variables;
  const StringBlock& environment = invocation_.environment;
  const uint32_t own = socket_variable_.empty() ? 0 : 1;
  const auto count = static_cast<uint32_t>(request.count + environment.count + own);
  const auto bytes = static_cast<uint32_t>(request.bytes.size() + environment.bytes.size() +
                                           socket_variable_.size());
  return Code(m.Write(a[0], count) && m.Write(a[1], bytes) ? Errno::kSuccess : Errno::kFault);
}

uint32_t Wasi::EnvironGet(Memory m, Arguments a) {
  uint64_t pointers = a[0];
  uint64_t buffer = a[1];
  const StringBlock own{socket_variable_, socket_variable_.empty() ? 0u : 1u};
  const bool ok = WriteBlock(m, invocation_.request_variables, pointers, buffer) &&
                  WriteBlock(m, invocation_.environment, pointers, buffer) &&
                  WriteBlock(m, own, pointers, buffer);
  return Code(ok ? Errno::kSuccess : Errno::kFault);
}

// The monotonic clock starts with the invocation, so that it tells nothing of the host, and the CPU
// clocks count this invocation's thread alone.
uint64_t Wasi::Now(uint32_t clock) const {
  switch (clock) {
    case kClockRealtime:
      return static_cast<uint64_t>(ReadClock(CLOCK_REALTIME));
    case kClockMonotonic:
      return static_cast<uint64_t>(ReadClock(CLOCK_MONOTONIC) - started_monotonic_ns_);
    default:
      return static_cast<uint64_t>(ReadClock(CLOCK_THREAD_CPUTIME_ID) - started_cpu_ns_);
  }
}

uint32_t Wasi::ClockResGet(Memory m, Arguments a) {
  if (a[0] > kClockThreadCpu) return Code(Errno::kInval);
  return Code(m.Write(a[1], uint64_t{1}) ? Errno::kSuccess : Errno::kFault);
}

uint32_t Wasi::ClockTimeGet(Memory m, Arguments a) {
  if (a[0] > kClockThreadCpu) return Code(Errno::kInval);
  if (a[0] >= kClockProcessCpu && started_cpu_ns_ < 0) {
    started_cpu_ns_ = ReadClock(CLOCK_THREAD_CPUTIME_ID);
  }
  return Code(m.Write(a[2], Now(static_cast<uint32_t>(a[0]))) ? Errno::kSuccess : Errno::kFault);
}

uint32_t Wasi::RandomGet(Memory m, Arguments a) {
  std::span<uint8_t> out;
  if (!m.Slice(static_cast<uint32_t>(a[0]), a[1], out)) return Code(Errno::kFault);
  while (!out.empty()) {
    const ssize_t got = ::getrandom(out.data(), std::min<size_t>(out.size(), 1u << 20), 0);
    if (got < 0 && errno != EINTR) return Code(Errno::kIo);
    if (got > 0) out = out.subspan(static_cast<size_t>(got));
  }
  return kOk;
}

uint32_t Wasi::SchedYield(Memory /*m*/, Arguments /*a*/) { return kOk; }

uint32_t Wasi::ProcExit(Memory /*m*/, Arguments a) {
  exit_code_ = static_cast<uint32_t>(a[0]);
  return Stopped(StopReason::kExit);
}

uint32_t Wasi::Unsupported(Memory /*m*/, Arguments /*a*/) { return Code(Errno::kNotsup); }

}  // namespace hybridserve::wasi
