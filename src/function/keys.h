// Bearer keys: who may call a function, or the admin API over TCP. A node keeps hashes only.
//
// A key is 32 random bytes in hex (`hybridserve token` makes it), so its plain SHA-256 gives nothing
// away: there is no dictionary to try, and a salt would add nothing. A key file holds one key a
// line, "NAME sha256:HEX"; a lone "sha256:HEX" is a key without a name. '#' starts a comment line.
#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/regular_file.h"
#include "base/result.h"
#include "function/invocation.h"

namespace hybridserve {

struct Key {
  std::string name;  ///< 1 to 64 of A-Z, a-z, 0-9 and ".-_@", or empty. Logs may show it.
  Digest digest;
};

/// The keys of one file.
///
/// Thread rule: immutable once made; any thread.
class KeySet {
 public:
  static constexpr size_t kMaxKeys = 256;

  /// `file` only names it in errors, which never quote a line: a key itself may stand there.
  /// No key at all is good: then nobody may. Errors: kInvalidArgument with file and line.
  static Result<KeySet> Parse(std::string_view text, std::string_view file);

  /// The key that `authorization`, "Bearer KEY", carries; nullptr: none of these. Every key is
  /// compared, each in constant time.
  [[nodiscard]] const Key* Find(std::string_view authorization) const;
  [[nodiscard]] const std::vector<Key>& keys() const { return keys_; }

 private:
  std::vector<Key> keys_;
};

/// The key with which a request may pass. Two Authorization headers are none.
/// Errors: kUnauthorized there is no key, or it is none of `keys`; what to send, never what was.
Result<const Key*> CheckKey(const KeySet& keys, std::span<const Header> headers,
                            std::string_view who_needs_it);

/// Whether `name` can name a key. Errors: kInvalidArgument.
Result<> CheckKeyName(std::string_view name);
/// A new key, 64 hex digits.
std::string MakeKey();
/// Its line in a key file, with a newline.
std::string KeyLine(std::string_view name, std::string_view key);

/// A key file of the node, read again when it changes.
///
/// Thread rule: any thread. Shared by: the function's revision or the admin API, and whoever looks
/// after changes.
class KeyFile {
 public:
  /// Errors: those of reading and of KeySet::Parse; kForbidden others may write the file.
  static Result<std::shared_ptr<KeyFile>> Open(std::filesystem::path path);

  [[nodiscard]] std::shared_ptr<const KeySet> keys() const;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  /// Takes what the file holds now, if it has changed. One that cannot be read or is wrong leaves
  /// the keys as they were; the log says why, once a change. Waits for the disk.
  void ReloadIfChanged();
  /// Takes the keys of another reading of the same file.
  void TakeOver(const KeyFile& newer);

 private:
  explicit KeyFile(std::filesystem::path path) : path_(std::move(path)) {}
  Result<> Load();

  const std::filesystem::path path_;
  mutable std::mutex mutex_;  // Guards the two below.
  FileStamp stamp_;
  std::shared_ptr<const KeySet> keys_;
};

}  // namespace hybridserve
