// Cgroup: limits, accounts and kills a group of processes. One small interface over cgroup v2 and
// over v1 hierarchies ("hybrid" systems, where v2 exists but has no controllers).
//
// A CgroupTree is this node's own part of the hierarchy: a parent group that nothing else uses.
// Its groups are made empty; processes come in by being cloned there (v2) or by writing themselves
// into `join` descriptors (v1), which stay usable after the process has become another user.
//
// The cost of entering a v1 group is one RCU grace period (5-16 ms), since the kernel waits for
// every fork under way. OpenCgroupTree mounts a private v1 hierarchy without controllers and with
// "favordynmods", which keeps that lock in its fast-to-write mode while the tree lives: entering
// then takes 0.02 ms, and fork + wait 0.069 instead of 0.067 ms (docs/decisions/0002-sandbox.md).
//
// Thread rule: one thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace hybridserve::sandbox {

struct CgroupLimits {
  uint64_t memory_bytes = 0;          ///< With swap; 0: no limit.
  uint32_t pids = 0;                  ///< Processes and threads; 0: no limit.
  double cpu_cores = 0;               ///< 0: no limit.
  uint32_t cpu_weight_percent = 100;  ///< Of a normal process's share. 1..1000.
};

struct CgroupUsage {
  uint64_t memory_bytes = 0;
  uint64_t peak_memory_bytes = 0;
  std::chrono::nanoseconds cpu_time{};
  uint32_t processes = 0;
};

/// What stops or goes on does so within a tenth of this, unless it waits for a disk.
inline constexpr std::chrono::milliseconds kFreezePatience{50};

/// Who made a group, and removes it.
enum class GroupMaker : uint8_t { kThisProcess, kAnother };

class Cgroup {
 public:
  virtual ~Cgroup() = default;

  /// For clone3's CLONE_INTO_CGROUP (v2), or -1.
  [[nodiscard]] virtual int clone_fd() const = 0;
  /// A process that writes "0" to each of these is in the group (v1); empty for v2.
  [[nodiscard]] virtual std::vector<int> join_fds() const = 0;
  /// Moves another process in.
  virtual Result<> Add(pid_t pid) = 0;

  virtual Result<> SetLimits(const CgroupLimits& limits) = 0;
  /// CgroupLimits::cpu_weight_percent alone.
  virtual Result<> SetWeight(uint32_t percent) = 0;
  virtual Result<CgroupUsage> Usage() = 0;
  /// How often the kernel killed a process here for want of memory.
  virtual uint64_t OomKills() = 0;

  /// Returns once every process is stopped. Errors: kTimeout after kFreezePatience; then Thaw.
  virtual Result<> Freeze() = 0;
  virtual Result<> Thaw() = 0;
  /// Moves what a frozen group has in memory to swap (page_out.h); its limits hold all the same.
  /// Blocks for as long as the disk takes.
  virtual Result<> PageOut() = 0;
  /// SIGKILL to every process, also in a frozen group. They may still be ending on return.
  virtual void KillAll() = 0;
  /// Removes the group, unless another made it. Errors: kConflict processes are left in it.
  virtual Result<> Remove() = 0;
};

class CgroupTree {
 public:
  virtual ~CgroupTree() = default;
  /// "v2" or "v1 hybrid".
  [[nodiscard]] virtual std::string_view kind() const = 0;
  /// An empty group, with no limits yet. `name` is a single path component.
  virtual Result<std::unique_ptr<Cgroup>> Create(const std::string& name) = 0;
  /// Kills and removes every group below the tree, of this process or of one that has died.
  virtual Result<> RemoveGroups() = 0;
  /// RemoveGroups, and the tree itself.
  virtual Result<> RemoveTree() = 0;
};

/// Finds what this machine has and makes the tree `name` in it; a tree of that name left over from
/// an earlier process is taken over, its groups killed and removed.
///
/// Errors: kUnsupported no usable hierarchy, with what lacks; kForbidden not root.
Result<std::unique_ptr<CgroupTree>> OpenCgroupTree(const std::string& name);

/// The group of a running process, made by another program: what is returned never removes it.
/// Errors: kNotFound no such process; kUnsupported a controller is not mounted, or it is in the root
/// or in the caller's own group, as one that is ending seems to be.
Result<std::unique_ptr<Cgroup>> OpenCgroupOf(pid_t pid);

/// The two kinds, for OpenCgroupTree and for tests. `parent` is an existing group of a cgroup2 file
/// system; controllers that it does not have are left out.
Result<std::unique_ptr<CgroupTree>> OpenCgroupV2Tree(const std::filesystem::path& parent,
                                                     const std::string& name);

/// Where each v1 controller is mounted, with the group to make the tree in.
struct V1Hierarchies {
  std::filesystem::path memory;
  std::filesystem::path pids;
  std::filesystem::path cpu;
  std::filesystem::path cpuacct;
  std::filesystem::path freezer;
};
Result<std::unique_ptr<CgroupTree>> OpenCgroupV1Tree(const V1Hierarchies& parents,
                                                     const std::string& name);

/// Existing groups of another's, for OpenCgroupOf.
Result<std::unique_ptr<Cgroup>> OpenCgroupV1Group(const V1Hierarchies& folders);
Result<std::unique_ptr<Cgroup>> OpenCgroupV2Group(const std::filesystem::path& folder);

}  // namespace hybridserve::sandbox
