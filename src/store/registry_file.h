// RegistryFile: what makes a registry's file trustworthy, and its copy beside it.
//
// Every change counts up a generation and writes down a digest of the whole content (the table
// "seal"), in its own transaction. So a flipped bit that SQLite does not notice is, and so is a
// file that is whole but older than what was acknowledged: a write-ahead log whose tail was damaged
// is cut by SQLite without a word.
//
// The copy, PATH.bak, is written before a change is acknowledged: a registry that lost something
// can be put back by `hybridserve registry restore` (registry_repair.h).
//
// Thread rule: one thread at a time. Everything here waits for the disk.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "base/result.h"

namespace SQLite {
class Database;
}

namespace hybridserve {

struct RegistryFacts {
  int version = 0;         ///< Of the format; 0: nothing in it yet.
  int64_t generation = 0;  ///< Rises with each change; 0: nothing was ever changed.
};

/// Whether the open database is a registry, whole, and holds what its last change wrote. Throws
/// SQLite::Exception. Errors: kCorrupt, kUnsupported a newer version wrote it.
Result<RegistryFacts> CheckRegistry(SQLite::Database& db, const std::filesystem::path& path);

/// Counts up the generation and notes the digest of the content; inside the change's transaction.
/// Throws SQLite::Exception.
void SealRegistry(SQLite::Database& db);

/// PATH.bak.
std::filesystem::path RegistryCopyPath(const std::filesystem::path& path);
/// Replaces the copy with the content of the open database. Throws SQLite::Exception. Errors: those
/// of the file system.
Result<> WriteRegistryCopy(SQLite::Database& db, const std::filesystem::path& path);
/// Removes what processes that died while they wrote the copy left. With the registry's lock held.
void RemoveCopyDrafts(const std::filesystem::path& path);
/// Checks a copy without changing it. Errors: kNotFound there is none; as CheckRegistry.
Result<RegistryFacts> CheckRegistryCopy(const std::filesystem::path& copy);

/// kCorrupt, naming the command that mends it.
Error DamagedRegistry(const std::filesystem::path& path, const std::string& why);

}  // namespace hybridserve
