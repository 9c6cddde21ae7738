#include "sandbox/id_range.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <unistd.h>

#include <string>

#include "base/file.h"

namespace hybridserve::sandbox {

Result<IdRange> IdRanges::Take() {
  if (!free_.empty()) {
    IdRange range = std::move(free_.back());
    free_.pop_back();
    return range;
  }
  if (next_ >= kRanges) return Fail(Code::kUnavailable, "all user ranges of containers are taken");
  IdRange range;
  range.base = kRangeBase + kRangeSize * next_;
  TRY_ASSIGN(range.from_owner, MakeMapNamespace({kOwnerBase, range.base, kRangeSize}));
  ++next_;
  return range;
}

void IdRanges::Give(IdRange range) { free_.push_back(std::move(range)); }

Result<UniqueFd> MakeMapNamespace(const IdMapping& mapping) {
  TRY_ASSIGN(const Child child, Clone({.namespaces = CLONE_NEWUSER}, [] {
               while (true) ::pause();
               return 0;
             }));
  Result<UniqueFd> made = [&]() -> Result<UniqueFd> {
    TRY(MapIds(child.pid, mapping, SetGroups::kAllow));
    return OpenFile("/proc/" + std::to_string(child.pid) + "/ns/user", O_RDONLY);
  }();
  Kill(child);
  Reap(child);
  return made;
}

}  // namespace hybridserve::sandbox
