// cgroup v2: one folder a group; processes are cloned into it; cgroup.kill and cgroup.freeze.
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>

#include "base/file.h"
#include "sandbox/cgroup.h"
#include "sandbox/cgroup_file.h"
#include "sandbox/page_out.h"

namespace hybridserve::sandbox {
namespace {

constexpr int kCpuPeriodMicroseconds = 100000;

std::string NumberOrMax(uint64_t value) { return value == 0 ? "max" : std::to_string(value); }

bool Has(int folder, const char* file) { return ::faccessat(folder, file, F_OK, 0) == 0; }

class V2Group final : public Cgroup {
 public:
  V2Group(std::filesystem::path path, UniqueFd folder, GroupMaker maker)
      : path_(std::move(path)), folder_(std::move(folder)), maker_(maker) {}
  ~V2Group() override { (void)Remove(); }

  int clone_fd() const override { return folder_.get(); }
  std::vector<int> join_fds() const override { return {}; }
  Result<> Add(pid_t pid) override {
    return WriteControl(folder_.get(), "cgroup.procs", std::to_string(pid));
  }

  Result<> SetLimits(const CgroupLimits& limits) override {
    const int fd = folder_.get();
    if (Has(fd, "memory.max")) {
      TRY(WriteControl(fd, "memory.max", NumberOrMax(limits.memory_bytes)));
      TRY(WriteControl(fd, "memory.oom.group", "1"));
      if (limits.memory_bytes != 0 && Has(fd, "memory.swap.max")) {
        TRY(WriteControl(fd, "memory.swap.max", "0"));
      }
    }
    if (Has(fd, "pids.max")) TRY(WriteControl(fd, "pids.max", NumberOrMax(limits.pids)));
    if (Has(fd, "cpu.max")) {
      const auto quota =
          std::max<long>(1000, std::lround(limits.cpu_cores * kCpuPeriodMicroseconds));
      TRY(WriteControl(fd, "cpu.max",
                       (limits.cpu_cores > 0 ? std::to_string(quota) : std::string("max")) + " " +
                           std::to_string(kCpuPeriodMicroseconds)));
      TRY(SetWeight(limits.cpu_weight_percent));
    }
    return {};
  }
  Result<> SetWeight(uint32_t percent) override {
    if (!Has(folder_.get(), "cpu.weight")) return {};
    return WriteControl(folder_.get(), "cpu.weight", std::to_string(std::clamp(percent, 1u, 1000u)));
  }

  Result<CgroupUsage> Usage() override {
    const int fd = folder_.get();
    CgroupUsage usage;
    usage.memory_bytes = ReadNumber(fd, "memory.current");
    usage.peak_memory_bytes = std::max(ReadNumber(fd, "memory.peak"), usage.memory_bytes);
    usage.cpu_time = std::chrono::microseconds(ReadKeyed(fd, "cpu.stat", "usage_usec"));
    usage.processes = Has(fd, "pids.current")
                          ? static_cast<uint32_t>(ReadNumber(fd, "pids.current"))
                          : static_cast<uint32_t>(ReadProcesses(fd).size());
    return usage;
  }
  uint64_t OomKills() override { return ReadKeyed(folder_.get(), "memory.events", "oom_kill"); }

  Result<> Freeze() override {
    TRY(WriteControl(folder_.get(), "cgroup.freeze", "1"));
    return WaitFor("frozen", 1);
  }
  Result<> Thaw() override {
    TRY(WriteControl(folder_.get(), "cgroup.freeze", "0"));
    return WaitFor("frozen", 0);
  }
  Result<> PageOut() override {
    // A running container has no swap: it would slow it down instead of ending it at its limit.
    const bool limited = Has(folder_.get(), "memory.swap.max");
    if (limited) TRY(WriteControl(folder_.get(), "memory.swap.max", "max"));
    Result<> done = PageOutAll(ReadProcesses(folder_.get()));
    if (limited) TRY(WriteControl(folder_.get(), "memory.swap.max", "0"));
    return done;
  }
  void KillAll() override {
    if (!WriteControl(folder_.get(), "cgroup.kill", "1")) KillProcesses(folder_.get());
  }
  Result<> Remove() override {
    if (removed_ || maker_ == GroupMaker::kAnother) return {};
    if (::rmdir(path_.c_str()) != 0 && errno != ENOENT) {
      if (errno == EBUSY) {
        return Fail(Code::kConflict, "the cgroup " + path_.string() + " still has processes");
      }
      return FailErrno("remove the cgroup " + path_.string());
    }
    removed_ = true;
    return {};
  }

 private:
  // Waits until a key of cgroup.events has this value: the kernel raises POLLPRI at each change.
  Result<> WaitFor(std::string_view key, uint64_t value) {
    const UniqueFd events(::openat(folder_.get(), "cgroup.events", O_RDONLY | O_CLOEXEC));
    const auto deadline = std::chrono::steady_clock::now() + kFreezePatience;
    while (ReadKeyed(folder_.get(), "cgroup.events", key) != value) {
      if (std::chrono::steady_clock::now() > deadline) {
        return Fail(Code::kTimeout, "the cgroup " + path_.string() + " did not become " +
                                        std::string(key) + "=" + std::to_string(value));
      }
      pollfd changed{events.get(), POLLPRI, 0};
      ::poll(&changed, 1, 10);
    }
    return {};
  }

  std::filesystem::path path_;
  UniqueFd folder_;
  GroupMaker maker_;
  bool removed_ = false;
};

class V2Tree final : public CgroupTree {
 public:
  explicit V2Tree(std::filesystem::path path) : path_(std::move(path)) {}
  ~V2Tree() override { (void)RemoveTree(); }

  std::string_view kind() const override { return "v2"; }
  Result<std::unique_ptr<Cgroup>> Create(const std::string& name) override {
    const std::filesystem::path path = path_ / name;
    if (::mkdir(path.c_str(), 0755) != 0) return FailErrno("make the cgroup " + path.string());
    TRY_ASSIGN(UniqueFd folder, OpenFile(path, O_RDONLY | O_DIRECTORY));
    return std::make_unique<V2Group>(path, std::move(folder), GroupMaker::kThisProcess);
  }
  Result<> RemoveGroups() override { return RemoveGroupFolders(path_, Which::kBelow); }
  Result<> RemoveTree() override { return RemoveGroupFolders(path_, Which::kFolderToo); }

 private:
  std::filesystem::path path_;
};

// Passes a controller on to the groups below; one that the parent lacks is no error.
void EnableController(const std::filesystem::path& group, const char* controller) {
  const UniqueFd fd(::open(group.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  (void)WriteControl(fd.get(), "cgroup.subtree_control", std::string("+") + controller);
}

}  // namespace

Result<std::unique_ptr<Cgroup>> OpenCgroupV2Group(const std::filesystem::path& folder) {
  TRY_ASSIGN(UniqueFd opened, OpenFile(folder, O_RDONLY | O_DIRECTORY));
  return std::make_unique<V2Group>(folder, std::move(opened), GroupMaker::kAnother);
}

Result<std::unique_ptr<CgroupTree>> OpenCgroupV2Tree(const std::filesystem::path& parent,
                                                     const std::string& name) {
  const std::filesystem::path path = parent / name;
  if (::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) {
    return FailErrno("make the cgroup " + path.string());
  }
  auto tree = std::make_unique<V2Tree>(path);
  TRY(tree->RemoveGroups());
  for (const char* controller : {"memory", "pids", "cpu"}) {
    EnableController(parent, controller);
    EnableController(path, controller);
  }
  return tree;
}

}  // namespace hybridserve::sandbox
