#include "sandbox/id_range.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>

#include "base/file.h"
#include "ipc/seqpacket.h"

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

Result<UniqueFd> MakeMapNamespace(const IdMapping& both) {
  return MakeMapNamespace({&both, 1}, {&both, 1});
}

Result<UniqueFd> MakeSwapNamespace(uint32_t a, uint32_t b) {
  constexpr uint32_t kNobody = ~uint32_t{0};  // No user; a map ends before it.
  const std::array<IdMapping, 5> users{IdMapping{0, 0, a}, IdMapping{a, b, 1},
                                       IdMapping{a + 1, a + 1, b - a - 1}, IdMapping{b, a, 1},
                                       IdMapping{b + 1, b + 1, kNobody - b - 1}};
  const IdMapping groups{0, 0, kNobody};
  return MakeMapNamespace(users, {&groups, 1});
}

Result<UniqueFd> MakeMapNamespace(std::span<const IdMapping> users,
                                  std::span<const IdMapping> groups) {
  TRY_ASSIGN(const auto sockets, ipc::MakePair());
  const int ours = sockets.first.get();
  const int theirs = sockets.second.get();
  // The child ends with this process, however that ends: it waits for the end of the socket.
  TRY_ASSIGN(const Child child, Clone({.namespaces = CLONE_NEWUSER}, [ours, theirs] {
               ::close(ours);
               char nothing = 0;
               while (::read(theirs, &nothing, 1) < 0 && errno == EINTR) {
               }
               return 0;
             }));
  Result<UniqueFd> made = [&]() -> Result<UniqueFd> {
    TRY(MapIds(child.pid, users, groups, SetGroups::kAllow));
    return OpenFile("/proc/" + std::to_string(child.pid) + "/ns/user", O_RDONLY);
  }();
  Kill(child);
  Reap(child);
  return made;
}

}  // namespace hybridserve::sandbox
