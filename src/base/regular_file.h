// Files of the node that its operator names (keys, certificates): read whole, and again when they
// change.
//
// Thread rule: safe from any thread.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <filesystem>
#include <string>

#include "base/result.h"

namespace hybridserve {

struct RegularFile {
  std::string content;
  struct stat status {};
};
/// The whole of a file that somebody else named: it must be a regular one, so that nothing is
/// waited for. Errors: kInvalidArgument it is none; kTooLarge it has more than `max_bytes`;
/// kNotFound, kForbidden it cannot be read, which also says by whom. Each names the path.
Result<RegularFile> ReadRegularFile(const std::filesystem::path& path, uint64_t max_bytes);

/// "'hybridserve' (uid 64100)": the user of this process, for messages.
std::string ThisUser();

/// Tells one content of a file from the next without reading it.
struct FileStamp {
  dev_t device = 0;
  ino_t inode = 0;
  off_t bytes = 0;
  int64_t modified_ns = 0;
  int64_t changed_ns = 0;  ///< Its mode and owner count too.
  bool operator==(const FileStamp&) const = default;
};
/// All zeros where there is no such file.
FileStamp StampOf(const std::filesystem::path& path);

}  // namespace hybridserve
