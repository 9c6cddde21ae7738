// Lockdown: the last step into the jail, taken by the jailed program itself.
//
// The launcher starts executors and jobs inside a jail that is complete but for two things: the
// dynamic loader needs to see /usr/lib, and the program's own start needs more system calls than
// its work does. A program calls Lockdown() once, after it has set itself up and before it reads
// the first byte that it must not trust. After it
//   - the mount tree is empty: "/" is a read-only folder with nothing in it; only descriptors that
//     were open or arrive by socket lead to files;
//   - no capability is left, in any set, and none can come back;
//   - a system-call filter holds for every thread: no socket(), no execve(), no new process.
// What is not allowed fails with EPERM; clone3 with ENOSYS, so that libraries fall back to clone.
//
// The server is in no jail: it keeps the mount tree, with its user's files, and stream sockets. The
// rest holds for it too; the kernel's log names what its filter refuses.
//
// Started by hand (by a test, without the launcher) there is no prepared jail: then the mount tree
// stays, and the rest holds.
//
// Thread rule: call from the main thread. Threads that run already get the filter too, but keep
// whatever capabilities they have, so start them afterwards: with a jail prepared, Lockdown fails
// when the process has more than one thread. The server's threads may run: no thread of a process
// that the launcher started has a capability.
#pragma once

#include <cstdint>

#include "base/result.h"

namespace hybridserve::sandbox {

enum class Profile : uint8_t {
  kExecutor,  ///< Threads, memory, SEQPACKET datagrams, epoll, files below given descriptors.
  kJob,       ///< A compile: threads, memory, given descriptors; no sendmsg or recvmsg.
  kServer,    ///< Stream sockets, files by path, threads; no new code, no library.
  kUnpack,    ///< A job that also makes folders, links, modes and owners below a descriptor.
};

/// Errors: kForbidden or kInternal, the kernel refused a step: the program must exit, for it is not
/// jailed; kConflict threads are running already.
Result<> Lockdown(Profile profile);

}  // namespace hybridserve::sandbox
