// Wasi: WASI preview 1 for one invocation, the same for every engine.
//
// A command sees: its arguments (a function's: its name alone), the environment it was given, the
// request's body on descriptor 0, its answer on 1, its log on 2, clocks, random numbers, and the
// folders it was granted, as preopened directories from 3 on, then a private /tmp (scratch.h)
// unless a granted folder has that path. Behind those lies one connected stream socket where the
// invocation has one (to the node's forward proxy), and a variable that tells its number; a guest
// makes no others. A guest that sleeps or waits for its socket can be ended at any time.
//
// Paths are resolved by the kernel below the granted folder (openat2 with RESOLVE_BENEATH): neither
// ".." nor a symbolic link leads out of it. Only regular files and directories can be opened.
//
// A host function returns a WASI errno, or kStop: the guest must not go on, and outcome() says why.
//
// Thread rule: one thread; used for one invocation after another.
#pragma once

#include <poll.h>

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.h"
#include "executors/common/guest_memory.h"
#include "executors/common/output_sink.h"
#include "executors/common/scratch.h"
#include "executors/common/wasi_abi.h"
#include "executors/common/watchdog.h"

namespace hybridserve::wasi {

/// "NAME=VALUE" strings, each ended by a zero byte, as environ_get lays them out.
struct StringBlock {
  std::string_view bytes;
  uint32_t count = 0;
};

/// A folder that the guest sees.
struct Folder {
  int fd = -1;  ///< Stays the caller's.
  std::string guest_path;
  bool writable = false;
};

/// What one invocation gives its guest. The views outlive it.
struct Invocation {
  StringBlock arguments;  ///< The first is the program's name; none: only a name.
  StringBlock request_variables;
  StringBlock environment;
  std::string_view body;
  std::span<const Folder> folders;
  uint64_t output_limit_bytes = 0;
  Scratch::Spec scratch;  ///< No /tmp where it offers none.
};

/// Why a host function stopped the guest.
enum class StopReason : uint8_t { kNone, kExit, kOutputLimit, kDeadline, kCancelled };

/// Returned by a host function instead of an errno.
inline constexpr uint32_t kStop = 0xffffffff;

/// Tells a guest the descriptor of its socket.
inline constexpr std::string_view kSocketVariable = "HYBRIDSERVE_PROXY_FD";

/// Bytes of standard error that are kept of one invocation.
inline constexpr uint64_t kMaxLogBytes = 16 * 1024;

class Wasi {
 public:
  explicit Wasi(Guard& guard);
  ~Wasi();
  Wasi(const Wasi&) = delete;
  Wasi& operator=(const Wasi&) = delete;

  void Begin(const Invocation& invocation);
  /// Right after Begin: gives the guest a connected stream socket, whose descriptor it finds in the
  /// variable kSocketVariable.
  void AddSocket(UniqueFd socket);
  /// Closes what the guest opened and removes its /tmp. The outputs stay until the next Begin.
  void End();

  [[nodiscard]] StopReason stop_reason() const { return stop_reason_; }
  [[nodiscard]] uint32_t exit_code() const { return exit_code_; }
  [[nodiscard]] OutputSink& output() { return output_; }
  [[nodiscard]] std::string_view log() const { return log_.view(); }
  [[nodiscard]] Guard& guard() { return guard_; }
  [[nodiscard]] const Guard& guard() const { return guard_; }

  // The functions of preview 1. `a` are the guest's arguments as 64-bit values.
  using Arguments = const uint64_t*;
  using Memory = const GuestMemory&;
  uint32_t ArgsGet(Memory m, Arguments a);
  uint32_t ArgsSizesGet(Memory m, Arguments a);
  uint32_t EnvironGet(Memory m, Arguments a);
  uint32_t EnvironSizesGet(Memory m, Arguments a);
  uint32_t ClockResGet(Memory m, Arguments a);
  uint32_t ClockTimeGet(Memory m, Arguments a);
  uint32_t RandomGet(Memory m, Arguments a);
  uint32_t SchedYield(Memory m, Arguments a);
  uint32_t ProcExit(Memory m, Arguments a);
  uint32_t PollOneoff(Memory m, Arguments a);
  uint32_t SockRecv(Memory m, Arguments a);
  uint32_t SockSend(Memory m, Arguments a);
  uint32_t SockShutdown(Memory m, Arguments a);
  uint32_t Unsupported(Memory m, Arguments a);

  uint32_t FdAdvise(Memory m, Arguments a);
  uint32_t FdAllocate(Memory m, Arguments a);
  uint32_t FdClose(Memory m, Arguments a);
  uint32_t FdDatasync(Memory m, Arguments a);
  uint32_t FdFdstatGet(Memory m, Arguments a);
  uint32_t FdFdstatSetFlags(Memory m, Arguments a);
  uint32_t FdFdstatSetRights(Memory m, Arguments a);
  uint32_t FdFilestatGet(Memory m, Arguments a);
  uint32_t FdFilestatSetSize(Memory m, Arguments a);
  uint32_t FdFilestatSetTimes(Memory m, Arguments a);
  uint32_t FdPread(Memory m, Arguments a);
  uint32_t FdPrestatGet(Memory m, Arguments a);
  uint32_t FdPrestatDirName(Memory m, Arguments a);
  uint32_t FdPwrite(Memory m, Arguments a);
  uint32_t FdRead(Memory m, Arguments a);
  uint32_t FdReaddir(Memory m, Arguments a);
  uint32_t FdRenumber(Memory m, Arguments a);
  uint32_t FdSeek(Memory m, Arguments a);
  uint32_t FdSync(Memory m, Arguments a);
  uint32_t FdTell(Memory m, Arguments a);
  uint32_t FdWrite(Memory m, Arguments a);

  uint32_t PathCreateDirectory(Memory m, Arguments a);
  uint32_t PathFilestatGet(Memory m, Arguments a);
  uint32_t PathFilestatSetTimes(Memory m, Arguments a);
  uint32_t PathLink(Memory m, Arguments a);
  uint32_t PathOpen(Memory m, Arguments a);
  uint32_t PathReadlink(Memory m, Arguments a);
  uint32_t PathRemoveDirectory(Memory m, Arguments a);
  uint32_t PathRename(Memory m, Arguments a);
  uint32_t PathSymlink(Memory m, Arguments a);
  uint32_t PathUnlinkFile(Memory m, Arguments a);

 private:
  enum class Kind : uint8_t { kClosed, kInput, kOutput, kLog, kFile, kFolder, kSocket };
  struct Descriptor {
    Kind kind = Kind::kClosed;
    bool readable = false;
    bool writable = false;  // Of a folder: whether anything below it may be changed.
    uint16_t flags = 0;     // fdflags
    int fd = -1;  // The kernel's; a preopened folder's is borrowed. -1 of a /tmp not made.
    UniqueFd owned;
    Scratch::Use scratch;  // Of what lies in the guest's /tmp.
    const Folder* preopened = nullptr;
  };
  // A path's last part and the directory that holds it.
  struct Place {
    int folder = -1;
    UniqueFd owned;
    std::string name;
    bool in_scratch = false;
  };
  enum class Access : uint8_t { kRead, kWrite };

  uint32_t Stopped(StopReason reason);
  uint32_t Ended(Stop stop);
  Event MakeEvent(const Subscription& subscription);
  // What one subscription of a poll waits for.
  struct Wait {
    static constexpr uint64_t kReady = 0;
    static constexpr int kNoSocket = -1;
    uint64_t remaining_ns = kReady;  ///< Until its time; UINT64_MAX: it has none.
    int polled = kNoSocket;          ///< Its place among the polled sockets.
  };
  Errno ReadWait(const Subscription& subscription, std::vector<pollfd>& polled, Wait& wait);
  uint32_t AnswerPoll(Memory m, Arguments a, std::span<const Wait> waits,
                      std::span<const pollfd> polled, uint64_t passed_ns);
  Descriptor* FindSocket(uint64_t fd);
  /// After a call that failed, with its errno. True: try again; else `result` is what to return.
  bool WaitForSocket(const Descriptor& socket, int16_t events, uint32_t& result);
  uint32_t Receive(Memory m, Descriptor& socket, int flags, uint64_t size_at);
  uint32_t Transmit(Memory m, Descriptor& socket, uint64_t size_at);
  /// nullptr when the guest has no such descriptor.
  Descriptor* Find(uint64_t fd);
  Descriptor* FindFile(uint64_t fd);
  Errno Add(Descriptor descriptor, uint32_t& fd);
  /// Makes the guest's /tmp if this is its descriptor and it is not there yet.
  Errno NeedScratch(Descriptor& descriptor);
  uint32_t WriteStream(Memory m, OutputSink& sink, bool bounded, Arguments a);
  Errno ReadPath(Memory m, uint64_t pointer, uint64_t size, std::string& path);
  /// The folder descriptor, checked for being one and for `access`.
  Errno FindFolder(uint64_t fd, Access access, Descriptor*& folder);
  Errno FindPlace(Memory m, uint64_t fd, uint64_t pointer, uint64_t size, Access access,
                  Place& place);
  Errno ReadIovecs(Memory m, uint64_t pointer, uint64_t count);
  uint32_t Vector(Memory m, Arguments a, bool write, bool positioned);
  ssize_t WriteSome(const Descriptor& file, std::span<const uint8_t> bytes, const off_t* offset);
  uint32_t Unlink(Memory m, Arguments a, int flags);
  uint32_t SetTimes(int fd, const char* path, int at_flags, uint64_t atim, uint64_t mtim,
                    uint16_t flags);
  uint64_t Now(uint32_t clock) const;

  Guard& guard_;
  Invocation invocation_;
  size_t body_position_ = 0;
  OutputSink output_;
  OutputSink log_;
  Scratch scratch_;
  std::vector<Descriptor> descriptors_;
  std::string socket_variable_;  // "NAME=N" with its zero byte; empty: no socket.
  std::vector<std::span<uint8_t>> vectors_;  // Of the read or write under way.
  StopReason stop_reason_ = StopReason::kNone;
  uint32_t exit_code_ = 0;
  int64_t started_monotonic_ns_ = 0;
  int64_t started_cpu_ns_ = 0;
};

/// One function of wasi_snapshot_preview1. `parameters` has a letter each: i for i32, I for i64.
/// All return an i32 but proc_exit, which returns nothing.
struct HostFunction {
  std::string_view name;
  std::string_view parameters;
  uint32_t (Wasi::*call)(const GuestMemory&, const uint64_t*);
  bool returns = true;
};

/// All of them; sorted by name.
std::span<const HostFunction> HostFunctions();

inline constexpr size_t kMaxParameters = 9;
inline constexpr std::string_view kModuleName = "wasi_snapshot_preview1";

}  // namespace hybridserve::wasi
