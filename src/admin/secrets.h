// Secrets: variables whose values are files on the node, read by the server as its own user.
//
// Thread rule: any thread; waits for the disk.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "base/result.h"
#include "function/manifest.h"

namespace hybridserve {

/// The manifest's environment with its secrets' values: what the guest gets. One newline at a
/// secret's end is taken off.
///
/// Errors: kInvalidArgument, naming the variable and the file (never its content): it cannot be
/// read by this user, is no regular file, lies in `state_folder`, holds a zero byte or more than
/// 32 KiB, or all variables together are too large.
Result<std::map<std::string, std::string>> EnvironmentWithSecrets(
    const Manifest& manifest, const std::filesystem::path& state_folder);

}  // namespace hybridserve
