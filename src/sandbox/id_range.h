// IdRange: the uids and gids of containers. Each running container has a range of its own, so that
// two of them share no user on the host; the files of unpacked images belong to the owner range,
// and each container sees them through a mount that translates owner range to its own.
//
// Thread rule: one thread.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "sandbox/process.h"

namespace hybridserve::sandbox {

inline constexpr uint32_t kRangeBase = 2000000000;
inline constexpr uint32_t kRangeSize = 65536;
inline constexpr uint32_t kRanges = 4096;  ///< The owner range, and one a container.
/// The first uid of the files of unpacked images.
inline constexpr uint32_t kOwnerBase = kRangeBase;

/// One container's range.
struct IdRange {
  uint32_t base = 0;  ///< Its first uid and gid on the host.
  /// A user namespace that maps the owner range to this one, for CloneTree.
  UniqueFd from_owner;
};

/// Hands out ranges; those given back go first, with their map already made.
class IdRanges {
 public:
  /// Errors: kUnavailable all are taken.
  Result<IdRange> Take();
  void Give(IdRange range);

 private:
  std::vector<IdRange> free_;
  uint32_t next_ = 1;  ///< Range 0 owns the images.
};

/// A user namespace that exists only as a map, for CloneTree: of files' owners (inside) to those
/// that the mount shows (outside).
Result<UniqueFd> MakeMapNamespace(std::span<const IdMapping> users,
                                  std::span<const IdMapping> groups);
Result<UniqueFd> MakeMapNamespace(const IdMapping& both);

/// A map namespace in which the users `a` and `b` have changed places, and every other user and
/// group is itself. `a` < `b`.
Result<UniqueFd> MakeSwapNamespace(uint32_t a, uint32_t b);

}  // namespace hybridserve::sandbox
