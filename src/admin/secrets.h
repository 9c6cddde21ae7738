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
/// read by this user, is no regular file on a disk, lies in `state_folder`, is `token_file` (which
/// may be empty), holds a zero byte or more than 16 KiB, or all variables together are too large.
Result<std::map<std::string, std::string>> EnvironmentWithSecrets(
    const Manifest& manifest, const std::filesystem::path& state_folder,
    const std::filesystem::path& token_file);

}  // namespace hybridserve
