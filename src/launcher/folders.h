// Folders: host folders that a function may be granted.
//
// Thread rule: one thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace hybridserve::launcher {

enum class Access : uint8_t { kRead, kWrite };

/// A descriptor of the folder `path` as a mount of its own: nothing above it can be reached through
/// it. It must be one of `allowed`, or below one; links that lead out of that one are not followed.
/// Nothing in it is executable, a device or set-uid, and without kWrite nothing can be changed.
///
/// As root, what belongs to kExecutorUid is shown as the executor's user's, `uid`, and what that
/// user makes belongs to kExecutorUid, where the file system can translate owners (ext4, xfs,
/// btrfs, tmpfs); elsewhere the executor is `uid` there, with kExecutorUid as its group.
///
/// Errors: kForbidden not allowed here, with what to configure; kNotFound; kUnsupported this user
/// can make no mount.
Result<UniqueFd> OpenAllowedFolder(const std::vector<std::string>& allowed, const std::string& path,
                                   Access access, uint32_t uid);

}  // namespace hybridserve::launcher
