// cgroup v1: one folder a group in each of five hierarchies.
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <thread>

#include "base/file.h"
#include "base/log.h"
#include "sandbox/cgroup.h"
#include "sandbox/cgroup_file.h"
#include "sandbox/page_out.h"

namespace hybridserve::sandbox {
namespace {

constexpr int kCpuPeriodMicroseconds = 100000;
constexpr uint32_t kNormalShares = 1024;

enum Controller : size_t { kMemory, kPids, kCpu, kCpuacct, kFreezer, kControllers };
using Paths = std::array<std::filesystem::path, kControllers>;

struct Folder {
  std::filesystem::path path;
  UniqueFd fd;
  UniqueFd procs;  // Opened as root: whoever inherits it may join.
};

class V1Group final : public Cgroup {
 public:
  V1Group(std::array<Folder, kControllers> folders, GroupMaker maker)
      : folders_(std::move(folders)), maker_(maker) {}
  ~V1Group() override { (void)Remove(); }

  int clone_fd() const override { return -1; }
  std::vector<int> join_fds() const override {
    std::vector<int> fds;
    for (const Folder& folder : folders_) fds.push_back(folder.procs.get());
    return fds;
  }
  Result<> Add(pid_t pid) override {
    for (const Folder& folder : folders_) {
      TRY(WriteControl(folder.fd.get(), "cgroup.procs", std::to_string(pid)));
    }
    return {};
  }

  Result<> SetLimits(const CgroupLimits& limits) override {
    TRY(SetMemory(limits.memory_bytes));
    TRY(WriteControl(fd(kPids), "pids.max",
                     limits.pids == 0 ? std::string("max") : std::to_string(limits.pids)));
    const auto quota = std::max<long>(1000, std::lround(limits.cpu_cores * kCpuPeriodMicroseconds));
    TRY(WriteControl(fd(kCpu), "cpu.cfs_period_us", std::to_string(kCpuPeriodMicroseconds)));
    TRY(WriteControl(fd(kCpu), "cpu.cfs_quota_us",
                     limits.cpu_cores > 0 ? std::to_string(quota) : std::string("-1")));
    return SetWeight(limits.cpu_weight_percent);
  }
  Result<> SetWeight(uint32_t percent) override {
    const uint32_t shares = std::max(2u, kNormalShares * std::clamp(percent, 1u, 1000u) / 100);
    return WriteControl(fd(kCpu), "cpu.shares", std::to_string(shares));
  }

  Result<CgroupUsage> Usage() override {
    CgroupUsage usage;
    usage.memory_bytes = ReadNumber(fd(kMemory), "memory.usage_in_bytes");
    usage.peak_memory_bytes = ReadNumber(fd(kMemory), "memory.max_usage_in_bytes");
    usage.cpu_time = std::chrono::nanoseconds(ReadNumber(fd(kCpuacct), "cpuacct.usage"));
    usage.processes = static_cast<uint32_t>(ReadNumber(fd(kPids), "pids.current"));
    return usage;
  }
  uint64_t OomKills() override { return ReadKeyed(fd(kMemory), "memory.oom_control", "oom_kill"); }

  Result<> Freeze() override { return SetState("FROZEN"); }
  Result<> Thaw() override { return SetState("THAWED"); }
  Result<> PageOut() override { return PageOutAll(ReadProcesses(fd(kFreezer))); }
  void KillAll() override {
    KillProcesses(fd(kPids));
    // SIGKILL reaches a frozen process only once it is thawed.
    (void)WriteControl(fd(kFreezer), "freezer.state", "THAWED");
  }
  Result<> Remove() override {
    if (maker_ == GroupMaker::kAnother) return {};
    for (Folder& folder : folders_) {
      if (folder.path.empty()) continue;
      if (::rmdir(folder.path.c_str()) != 0 && errno != ENOENT) {
        if (errno == EBUSY) {
          return Fail(Code::kConflict,
                      "the cgroup " + folder.path.string() + " still has processes");
        }
        return FailErrno("remove the cgroup " + folder.path.string());
      }
      folder.path.clear();
    }
    return {};
  }

 private:
  int fd(Controller controller) const { return folders_[controller].fd.get(); }

  Result<> SetMemory(uint64_t bytes) {
    const std::string value = bytes == 0 ? "-1" : std::to_string(bytes);
    const bool swap = ::faccessat(fd(kMemory), "memory.memsw.limit_in_bytes", F_OK, 0) == 0;
    // memsw may never be below the memory limit: when that rises, memsw goes first.
    if (swap) (void)WriteControl(fd(kMemory), "memory.memsw.limit_in_bytes", "-1");
    TRY(WriteControl(fd(kMemory), "memory.limit_in_bytes", value));
    if (swap) TRY(WriteControl(fd(kMemory), "memory.memsw.limit_in_bytes", value));
    return {};
  }

  // FREEZING becomes FROZEN only when the file is read or written again.
  Result<> SetState(std::string_view state) {
    TRY(WriteControl(fd(kFreezer), "freezer.state", state));
    const auto deadline = std::chrono::steady_clock::now() + kFreezePatience;
    while (true) {
      TRY_ASSIGN(const std::string now, ReadControl(fd(kFreezer), "freezer.state"));
      if (now.starts_with(state)) return {};
      if (std::chrono::steady_clock::now() > deadline) {
        return Fail(Code::kTimeout, "the cgroup " + folders_[kFreezer].path.string() +
                                        " did not become " + std::string(state));
      }
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
  }

  std::array<Folder, kControllers> folders_;
  GroupMaker maker_;
};

Result<> OpenFolder(const std::filesystem::path& path, Folder& folder) {
  folder.path = path;
  TRY_ASSIGN(folder.fd, OpenFile(path, O_RDONLY | O_DIRECTORY));
  TRY_ASSIGN(folder.procs, OpenFile(path / "cgroup.procs", O_WRONLY));
  return {};
}

UniqueFd MountFastMigration() {
  const UniqueFd context(::fsopen("cgroup", FSOPEN_CLOEXEC));
  const int fd = context.get();
  if (fd < 0 || ::fsconfig(fd, FSCONFIG_SET_FLAG, "none", nullptr, 0) != 0 ||
      ::fsconfig(fd, FSCONFIG_SET_STRING, "name", "hybridserve", 0) != 0 ||
      ::fsconfig(fd, FSCONFIG_SET_FLAG, "favordynmods", nullptr, 0) != 0 ||
      ::fsconfig(fd, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
    return {};
  }
  return UniqueFd(::fsmount(fd, FSMOUNT_CLOEXEC, 0));
}

// A v1 hierarchy of our own, without controllers and without a mount point, whose only purpose is
// its "favordynmods" flag; see cgroup.h. Gone when the descriptor is closed.
UniqueFd HoldFastMigration() {
  // One of the same name that is just being taken down makes the mount fail for some milliseconds.
  for (int attempt = 0; attempt < 10; ++attempt) {
    if (UniqueFd mounted = MountFastMigration()) return mounted;
    if (errno == EINVAL || errno == ENODEV || errno == EPERM) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return {};
}

class V1Tree final : public CgroupTree {
 public:
  V1Tree(Paths paths, UniqueFd fast) : paths_(std::move(paths)), fast_(std::move(fast)) {}
  ~V1Tree() override { (void)RemoveTree(); }

  std::string_view kind() const override { return "v1 hybrid"; }

  Result<std::unique_ptr<Cgroup>> Create(const std::string& name) override {
    std::array<Folder, kControllers> folders;
    for (size_t i = 0; i < kControllers; ++i) {
      if (auto made = MakeFolderAt(paths_[i] / name, folders[i]); !made) {
        for (const Folder& folder : folders) ::rmdir(folder.path.c_str());
        return tl::unexpected(made.error());
      }
    }
    return std::make_unique<V1Group>(std::move(folders), GroupMaker::kThisProcess);
  }

  Result<> RemoveGroups() override { return ForEach(Which::kBelow); }
  Result<> RemoveTree() override { return ForEach(Which::kFolderToo); }

 private:
  static Result<> MakeFolderAt(const std::filesystem::path& path, Folder& folder) {
    if (::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) {
      return FailErrno("make the cgroup " + path.string());
    }
    return OpenFolder(path, folder);
  }

  Result<> ForEach(Which which) {
    for (const auto& path : paths_) {
      std::error_code error;
      if (std::filesystem::exists(path, error)) TRY(RemoveGroupFolders(path, which));
    }
    return {};
  }

  Paths paths_;
  UniqueFd fast_;
};

}  // namespace

Result<std::unique_ptr<Cgroup>> OpenCgroupV1Group(const V1Hierarchies& folders) {
  const Paths paths{folders.memory, folders.pids, folders.cpu, folders.cpuacct, folders.freezer};
  std::array<Folder, kControllers> opened;
  for (size_t i = 0; i < kControllers; ++i) TRY(OpenFolder(paths[i], opened[i]));
  return std::make_unique<V1Group>(std::move(opened), GroupMaker::kAnother);
}

Result<std::unique_ptr<CgroupTree>> OpenCgroupV1Tree(const V1Hierarchies& parents,
                                                     const std::string& name) {
  Paths paths{parents.memory / name, parents.pids / name, parents.cpu / name,
              parents.cpuacct / name, parents.freezer / name};
  for (const auto& path : paths) {
    if (::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) {
      return FailErrno("make the cgroup " + path.string());
    }
  }
  UniqueFd fast = HoldFastMigration();
  if (!fast) spdlog::debug("no favordynmods on this kernel: each cold sandbox waits 5-16 ms");
  auto tree = std::make_unique<V1Tree>(std::move(paths), std::move(fast));
  TRY(tree->RemoveGroups());
  return tree;
}

}  // namespace hybridserve::sandbox
