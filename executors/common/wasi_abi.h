// The constants and layouts of WASI preview 1 (wasi_snapshot_preview1) that we use.
// Source: https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md
//
// Thread rule: constants.
#pragma once

#include <cstdint>

namespace hybridserve::wasi {

enum class Errno : uint16_t {
  kSuccess = 0,
  kTooBig = 1,
  kAccess = 2,
  kAgain = 6,
  kBadf = 8,
  kBusy = 10,
  kConnreset = 15,
  kExist = 20,
  kFbig = 22,
  kIlseq = 25,
  kInval = 28,
  kIo = 29,
  kIsdir = 31,
  kLoop = 32,
  kMfile = 33,
  kMlink = 34,
  kNametoolong = 37,
  kNfile = 41,
  kNoent = 44,
  kNomem = 48,
  kNospc = 51,
  kNosys = 52,
  kNotconn = 53,
  kNotdir = 54,
  kNotempty = 55,
  kNotsock = 57,
  kNotsup = 58,
  kOverflow = 61,
  kPerm = 63,
  kPipe = 64,
  kRofs = 69,
  kSpipe = 70,
  kXdev = 75,
  kNotcapable = 76,
  kFault = 21,
};

enum class FileType : uint8_t {
  kUnknown = 0,
  kBlockDevice = 1,
  kCharacterDevice = 2,
  kDirectory = 3,
  kRegularFile = 4,
  kSocketDgram = 5,
  kSocketStream = 6,
  kSymbolicLink = 7,
};

// Rights: all that preview 1 defines, and those that make a descriptor readable or writable.
inline constexpr uint64_t kRightsFdRead = 1u << 1;
inline constexpr uint64_t kRightsFdWrite = 1u << 6;
inline constexpr uint64_t kRightsFdAllocate = 1u << 8;
inline constexpr uint64_t kRightsFdReaddir = 1u << 14;
inline constexpr uint64_t kRightsFdFilestatSetSize = 1u << 22;
inline constexpr uint64_t kRightsPollFdReadwrite = 1u << 27;
inline constexpr uint64_t kRightsSockShutdown = 1u << 28;
inline constexpr uint64_t kRightsAll = (1u << 30) - 1;
inline constexpr uint64_t kRightsSeek = (1u << 2) | (1u << 5);  // fd_seek, fd_tell

// fdflags
inline constexpr uint16_t kFdAppend = 1;
inline constexpr uint16_t kFdDsync = 2;
inline constexpr uint16_t kFdNonblock = 4;
inline constexpr uint16_t kFdRsync = 8;
inline constexpr uint16_t kFdSync = 16;

// oflags
inline constexpr uint16_t kOpenCreate = 1;
inline constexpr uint16_t kOpenDirectory = 2;
inline constexpr uint16_t kOpenExclusive = 4;
inline constexpr uint16_t kOpenTruncate = 8;

// lookupflags
inline constexpr uint32_t kLookupFollow = 1;

// fstflags
inline constexpr uint16_t kSetAccessTime = 1;
inline constexpr uint16_t kSetAccessTimeNow = 2;
inline constexpr uint16_t kSetModificationTime = 4;
inline constexpr uint16_t kSetModificationTimeNow = 8;

// whence
inline constexpr uint8_t kWhenceSet = 0;
inline constexpr uint8_t kWhenceCurrent = 1;
inline constexpr uint8_t kWhenceEnd = 2;

// clockid
inline constexpr uint32_t kClockRealtime = 0;
inline constexpr uint32_t kClockMonotonic = 1;
inline constexpr uint32_t kClockProcessCpu = 2;
inline constexpr uint32_t kClockThreadCpu = 3;

// eventtype
inline constexpr uint8_t kEventClock = 0;
inline constexpr uint8_t kEventFdRead = 1;
inline constexpr uint8_t kEventFdWrite = 2;
inline constexpr uint16_t kClockAbsolute = 1;  // subclockflags
inline constexpr uint16_t kEventHangup = 1;    // eventrwflags

// riflags, sdflags
inline constexpr uint16_t kRecvPeek = 1;
inline constexpr uint16_t kRecvWaitall = 2;
inline constexpr uint8_t kShutRead = 1;
inline constexpr uint8_t kShutWrite = 2;

/// __wasi_filestat_t
struct Filestat {
  uint64_t dev = 0;
  uint64_t ino = 0;
  FileType filetype = FileType::kUnknown;
  uint8_t pad[7] = {};
  uint64_t nlink = 0;
  uint64_t size = 0;
  uint64_t atim = 0;
  uint64_t mtim = 0;
  uint64_t ctim = 0;
};
static_assert(sizeof(Filestat) == 64);

/// __wasi_fdstat_t
struct Fdstat {
  FileType filetype = FileType::kUnknown;
  uint8_t pad = 0;
  uint16_t flags = 0;
  uint32_t pad2 = 0;
  uint64_t rights_base = 0;
  uint64_t rights_inheriting = 0;
};
static_assert(sizeof(Fdstat) == 24);

/// __wasi_subscription_t; the clock's fields and the descriptor's share their place.
struct Subscription {
  uint64_t userdata = 0;
  uint8_t type = 0;
  uint8_t pad[7] = {};
  uint32_t clock_or_fd = 0;
  uint32_t pad2 = 0;
  uint64_t timeout = 0;
  uint64_t precision = 0;
  uint16_t flags = 0;
  uint8_t pad3[6] = {};
};
static_assert(sizeof(Subscription) == 48);

/// __wasi_event_t
struct Event {
  uint64_t userdata = 0;
  Errno error = Errno::kSuccess;
  uint8_t type = 0;
  uint8_t pad[5] = {};
  uint64_t nbytes = 0;
  uint16_t flags = 0;
  uint8_t pad2[6] = {};
};
static_assert(sizeof(Event) == 32);

/// The head of one entry that fd_readdir writes; the name follows.
struct Dirent {
  uint64_t next = 0;
  uint64_t ino = 0;
  uint32_t name_bytes = 0;
  FileType type = FileType::kUnknown;
  uint8_t pad[3] = {};
};
static_assert(sizeof(Dirent) == 24);

/// A scatter/gather buffer in guest memory.
struct Iovec {
  uint32_t pointer = 0;
  uint32_t size = 0;
};

}  // namespace hybridserve::wasi
