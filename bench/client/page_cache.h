// Eviction of files from the page cache, so that a start from disk can be measured.
//
// Thread rule: pure functions over the file system.
#pragma once

#include <cstddef>
#include <filesystem>

#include "base/result.h"

namespace hybridserve::bench {

/// Drops the clean pages of a file, or of every file below a folder, from the page cache. Returns
/// how many pages stayed (mapped or dirty ones do).
/// Errors: those of the file system, with the path.
Result<size_t> EvictFromPageCache(const std::filesystem::path& path);

}  // namespace hybridserve::bench
