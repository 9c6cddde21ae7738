// RegistryRepair: what a person does with a registry that a node refused: look at it, and put its
// copy back. For a state folder that no node runs on.
//
// Thread rule: one thread at a time. Everything here waits for the disk.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"

namespace hybridserve {

/// A function's current revision, as a registry's file has it.
struct RegisteredFunction {
  std::string name;
  int64_t revision = 0;
  std::string module;  ///< Digest; empty: none.
  std::string image;
  bool operator==(const RegisteredFunction&) const = default;
};

/// One file, the registry or its copy.
struct RegistryFileReport {
  std::filesystem::path path;
  bool exists = false;
  std::string problem;  ///< Empty: it is whole, or it does not exist.
  int64_t generation = 0;
  /// By name. Of a damaged file: what can still be read, not to be relied on.
  std::vector<RegisteredFunction> functions;
  [[nodiscard]] bool sound() const { return exists && problem.empty(); }
};

struct RegistryReport {
  RegistryFileReport registry;
  RegistryFileReport copy;
  /// Of the registry, or of its copy if only that is whole: blobs of current revisions that are
  /// missing or corrupt, as sentences.
  std::vector<std::string> blob_problems;
  /// A node would start on it, with everything that was acknowledged.
  [[nodiscard]] bool registry_ok() const;
};

/// Looks at SERVER_FOLDER/registry.db, its copy and the blobs. Changes nothing: it works on a copy
/// in $TMPDIR. Errors: those of the file system.
Result<RegistryReport> CheckRegistryFolder(const std::filesystem::path& server_folder);

struct RestoredRegistry {
  bool changed = false;         ///< False: the registry was whole, and nothing was done.
  std::filesystem::path aside;  ///< Where the former files are kept.
  std::vector<RegisteredFunction> functions;
  /// What the damaged registry had, as far as it can be read, and the restored one has not.
  std::vector<RegisteredFunction> lost;
};

/// Puts the copy in the registry's place, unless the registry is whole and has all that the copy
/// has. With `from`, that file in any case. What was there is moved into a folder beside it. A loss
/// of power leaves the old or the new registry, or one that a node refuses to start on.
/// Errors: kCorrupt neither can be used, kNotFound; those of the file system.
Result<RestoredRegistry> RestoreRegistry(const std::filesystem::path& server_folder,
                                         const std::optional<std::filesystem::path>& from);

}  // namespace hybridserve
