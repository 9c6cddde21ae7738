// AotCache: native code of modules, on disk, authenticated.
//
// One entry is two files: KEY.native, what the compile job wrote, and KEY.mac, a keyed MAC over it
// and what it is for. KEY is a digest of everything the code depends on. An entry's MAC is checked
// when this process first opens it; from then on the descriptor is held, so that a cold start pays
// for no hashing, and what a descriptor shows cannot be changed by replacing the file. A file that
// fails the check is deleted and never mapped.
//
// The folder belongs to the server's user alone. The key file is made once, from random bytes.
//
// Thread rule: one thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <list>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/digest.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace hybridserve {

class AotCache {
 public:
  /// Opens the cache in `folder`, making it and `key_file` if need be. At most `max_open` entries
  /// are held open; the least recently used is closed first, and checked again when it is needed.
  /// Errors: kCorrupt the key file has another size; those of the file system.
  static Result<AotCache> Open(std::filesystem::path folder, const std::filesystem::path& key_file,
                               size_t max_open = 4096);

  /// What native code of `module` is called, made by an engine with this fingerprint.
  static std::string KeyOf(const Digest& module, std::string_view fingerprint);

  struct NativeCode {
    int fd = -1;                        ///< The cache's; good until its next call.
    uint64_t memory_minimum_bytes = 0;  ///< What the module's memories hold at its start.
  };
  /// Errors: kNotFound no such entry; kCorrupt it failed its check and has been deleted.
  Result<NativeCode> Find(const std::string& key);

  /// A new file for a compile job to write, without a name that Find would look at.
  struct Draft {
    UniqueFd fd;
    std::filesystem::path path;
  };
  Result<Draft> Begin(const std::string& key);
  /// Authenticates what was written and makes it the entry.
  Result<NativeCode> Commit(const std::string& key, Draft draft, uint64_t memory_minimum_bytes);
  void Discard(const Draft& draft);

  /// Deletes the entry, if there is one.
  void Remove(const std::string& key);
  /// Deletes entries that are not in `kept` and have not been touched for `grace`; one from the
  /// future (the clock was set back) counts as touched now. Returns how many.
  size_t CollectGarbage(const std::set<std::string>& kept, std::chrono::seconds grace);

 private:
  struct Held {
    UniqueFd fd;
    uint64_t memory_minimum_bytes = 0;
    std::list<std::string>::iterator use;  // Its place in uses_.
  };

  AotCache(std::filesystem::path folder, MacKey key, size_t max_open);

  NativeCode Hold(const std::string& key, UniqueFd fd, uint64_t memory_minimum_bytes);
  [[nodiscard]] std::filesystem::path NativePath(const std::string& key) const;
  [[nodiscard]] std::filesystem::path MacPath(const std::string& key) const;
  [[nodiscard]] Result<std::string> MacText(const std::string& key, int fd,
                                            uint64_t memory_minimum_bytes) const;

  std::filesystem::path folder_;
  MacKey mac_key_;
  size_t max_open_;
  std::unordered_map<std::string, Held> held_;
  std::list<std::string> uses_;  // Keys of held_, the most recently used first.
};

}  // namespace hybridserve
