// Secrets: variables whose values are files on the node, read by the server as its own user.
//
// Thread rule: any thread; waits for the disk.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"
#include "function/keys.h"
#include "function/manifest.h"

namespace hybridserve {

/// A file that is the node's own affair, and what it is: "the admin API's token
/// (admin.token_file)".
struct NodeFile {
  std::filesystem::path path;
  std::string what;
};

/// The manifest's environment with its secrets' values: what the guest gets. One newline at a
/// secret's end is taken off.
///
/// Errors: kInvalidArgument, naming the variable and the file (never its content): it cannot be
/// read by this user, is no regular file on a disk, lies in `state_folder`, is one of `node_files`,
/// holds a zero byte or more than 16 KiB, or all variables together are too large.
Result<std::map<std::string, std::string>> EnvironmentWithSecrets(
    const Manifest& manifest, const std::filesystem::path& state_folder,
    std::span<const NodeFile> node_files);

/// What a function gets from files of the node.
struct FunctionFiles {
  std::map<std::string, std::string> environment;  ///< With its secrets' values.
  std::shared_ptr<KeyFile> keys;                   ///< nullptr: it may be called by anybody.
};

/// Reads what the manifest names. Errors: those of EnvironmentWithSecrets and KeyFile::Open, which
/// then names access.keys.
Result<FunctionFiles> ReadFunctionFiles(const Manifest& manifest,
                                        const std::filesystem::path& state_folder,
                                        std::span<const NodeFile> node_files);

}  // namespace hybridserve
