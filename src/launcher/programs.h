// Programs: how our own programs are found and jailed: what executors and jobs have in common.
//
// Thread rule: one thread, the loop's.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "launcher/host.h"
#include "sandbox/jail.h"

namespace hybridserve::launcher {

/// Users of the jails when the launcher is root. Each executor has a user of its own; kExecutorUid
/// is none of them but whom granted folders know: a granted folder's mount shows an executor as
/// this user. It is also the group of every executor.
inline constexpr uint32_t kExecutorUid = 64101;
inline constexpr uint32_t kJobUid = 64102;
inline constexpr uint32_t kFirstExecutorUid = 64128;
inline constexpr uint32_t kMaxExecutors = 64;

/// Opens a program that lies beside the launcher's own, with O_PATH.
/// Errors: kUnsupported it is not there.
Result<UniqueFd> OpenProgram(const std::string& name);

/// Makes `name` the jail's program and, where a folder `name`.libraries lies beside it (or a link to
/// one), that folder its libraries. Errors: those of OpenProgram; the folder cannot be shown.
Result<> SetProgram(sandbox::JailSpec& jail, const Host& host, const std::string& name);

/// The parts of a jail that depend on the host: isolation, filter, the map of `count` users and
/// groups from `uid` on (without root: the launcher's own user and group), environment.
sandbox::JailSpec BaseJail(const Host& host, uint32_t uid, uint32_t count);

/// A pipe: the read end non-blocking, the write end for a jail's output.
Result<std::pair<UniqueFd, UniqueFd>> MakeOutputPipe();

}  // namespace hybridserve::launcher
