// Process: children made with clone3 and held by pidfd, so that a pid used again is never hit.
//
// Thread rule: call from a process of one thread; the child of a threaded process could wait for a
// lock that no one in it will ever release.
#pragma once

#include <sys/types.h>

#include <csignal>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace hybridserve::sandbox {

/// A child of this process. Owns no more than descriptors: whoever made it reaps it.
struct Child {
  pid_t pid = -1;
  UniqueFd pidfd;     ///< Readable once the child has ended.
  UniqueFd lifeline;  ///< Its end of a socket; a child that starts up takes a hangup for our end.
  explicit operator bool() const { return static_cast<bool>(pidfd); }
};

struct CloneSpec {
  uint64_t namespaces = 0;  ///< CLONE_NEW* flags.
  int cgroup = -1;          ///< A cgroup v2 folder to start in, or -1.
};

/// Runs `body` in a child; what it returns is the exit status. In the child every signal has its
/// default action, none is blocked, and nothing of the parent's cleanup runs.
Result<Child> Clone(const CloneSpec& spec, const std::function<int()>& body);

/// The exit status, 128+N for signal N, once the child has ended; reaps it. nullopt: it still runs.
std::optional<int> TryReap(const Child& child);
/// Waits for the end. 255 when there is no such child any more.
int Reap(const Child& child);
/// Sends a signal; a child that has ended is fine.
void Kill(const Child& child, int signal = SIGKILL);

/// One line of a uid or gid map.
struct IdMapping {
  uint32_t inside = 0;
  uint32_t outside = 0;
  uint32_t count = 1;
};

/// Whether the user namespace may call setgroups(). An ordinary user must give that up.
enum class SetGroups { kAllow, kDeny };

/// Writes the uid and the gid map of the child's user namespace; at most 340 lines each.
Result<> MapIds(pid_t pid, std::span<const IdMapping> users, std::span<const IdMapping> groups,
                SetGroups set_groups);

/// In a child: closes every descriptor but 0, 1, 2 and `keep`.
void CloseAllExcept(std::span<const int> keep);

/// In a child: puts `fds` at 3, 4, ... without close-on-exec and closes all others above 2.
/// `until_exec` survives, close-on-exec, at the number returned.
Result<int> ArrangeDescriptors(std::span<const int> fds, int until_exec);

/// In a child: asks the kernel for SIGKILL when the parent ends. `parent_socket` tells a parent
/// that has ended already. Lost at the next change of user: call after it.
Result<> DieWithParent(int parent_socket);

}  // namespace hybridserve::sandbox
