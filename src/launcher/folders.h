// Folders: host folders that a function may be granted.
//
// Thread rule: one thread.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace hybridserve::launcher {

/// A descriptor of the folder `path` as a mount of its own: nothing above it can be reached through
/// it. It must be one of `allowed`, or below one; links that lead out of that one are not followed.
/// Nothing in it is executable, a device or set-uid, and unless `writable` nothing can be changed.
///
/// Errors: kForbidden not allowed here, with what to configure; kNotFound; kUnsupported this user
/// can make no mount.
Result<UniqueFd> OpenAllowedFolder(const std::vector<std::string>& allowed, const std::string& path,
                                   bool writable);

}  // namespace hybridserve::launcher
