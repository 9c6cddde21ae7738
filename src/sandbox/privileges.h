// Privileges: what a jailed process gives up before it runs anything: capabilities, resource
// limits, the chance to gain either back.
//
// Thread rule: each call acts on the calling thread; call in a process of one thread.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <initializer_list>

#include "base/result.h"

namespace hybridserve::sandbox {

/// A set of capabilities, one bit each (CAP_* numbers).
using Capabilities = uint64_t;
constexpr Capabilities CapabilitySet(std::initializer_list<int> numbers) {
  Capabilities set = 0;
  for (const int number : numbers) set |= uint64_t{1} << number;
  return set;
}

/// Empties the bounding and ambient sets, and keeps what it holds of `keep` effective, permitted
/// and inheritable: a program run next as user 0 of its user namespace has just these.
Result<> KeepOnlyCapabilities(Capabilities keep);

/// Empties every set that can be emptied without a capability: nothing is left afterwards.
Result<> DropAllCapabilities();

/// Sets PR_SET_NO_NEW_PRIVS.
Result<> SetNoNewPrivileges();

/// Whether to leave all supplementary groups; not possible where the namespace gave setgroups() up.
enum class Groups { kClear, kLeave };
/// Becomes this user and group of the user namespace.
Result<> BecomeUser(uid_t uid, gid_t gid, Groups groups);

/// Raises the soft limit of open files to the hard one: 1,024, what a shell gives, is soon too few
/// for a process that holds a descriptor for each thing it serves. What cannot be raised stays.
void AllowManyDescriptors();

struct ResourceLimits {
  uint64_t open_files = 4096;
  uint64_t file_bytes = ~uint64_t{0};  ///< Largest file written; the default is no limit.
};

/// Applies them, never above the hard limits that hold already; no core file, no locked memory
/// beyond 64 KiB, no message queues, no real-time priority, default stack.
Result<> SetResourceLimits(const ResourceLimits& limits);

}  // namespace hybridserve::sandbox
