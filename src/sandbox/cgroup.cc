// Which hierarchies this machine has, and where in them this process is.
#include "sandbox/cgroup.h"

#include <fcntl.h>
#include <unistd.h>

#include <map>
#include <span>
#include <sstream>
#include <string>

#include "base/file.h"
#include "sandbox/cgroup_file.h"

namespace hybridserve::sandbox {
namespace {

struct Mounts {
  std::map<std::string, std::filesystem::path> v1;  // By controller.
  std::filesystem::path v2;
};

// /proc/self/mountinfo: "ID PARENT DEV ROOT POINT OPTIONS [TAGS] - TYPE SOURCE SUPER_OPTIONS".
Result<Mounts> FindMounts() {
  TRY_ASSIGN(const std::string text, ReadFile("/proc/self/mountinfo", 4u << 20));
  Mounts mounts;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const size_t separator = line.find(" - ");
    if (separator == std::string::npos) continue;
    std::istringstream left(line.substr(0, separator));
    std::istringstream right(line.substr(separator + 3));
    std::string skip, point, type, source, options;
    left >> skip >> skip >> skip >> skip >> point;
    right >> type >> source >> options;
    if (type == "cgroup2") mounts.v2 = point;
    if (type != "cgroup") continue;
    std::istringstream words(options);
    for (std::string word; std::getline(words, word, ',');) mounts.v1.emplace(word, point);
  }
  return mounts;
}

// /proc/PROCESS/cgroup: "ID:CONTROLLERS:PATH"; v2 is "0::PATH".
Result<std::map<std::string, std::string>> GroupsOf(const std::string& process) {
  TRY_ASSIGN(const std::string text, ReadFile("/proc/" + process + "/cgroup", 1u << 20));
  std::map<std::string, std::string> groups;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    std::istringstream words(line.substr(first + 1, second - first - 1));
    const std::string path = line.substr(second + 1);
    std::string word;
    if (first + 1 == second) groups.emplace("", path);
    while (std::getline(words, word, ',')) groups.emplace(word, path);
  }
  return groups;
}

// The folder of each controller's group, for a process whose groups are `groups`.
Result<V1Hierarchies> V1Folders(const Mounts& mounts,
                                const std::map<std::string, std::string>& groups) {
  V1Hierarchies folders;
  const std::pair<const char*, std::filesystem::path*> wanted[] = {{"memory", &folders.memory},
                                                                   {"pids", &folders.pids},
                                                                   {"cpu", &folders.cpu},
                                                                   {"cpuacct", &folders.cpuacct},
                                                                   {"freezer", &folders.freezer}};
  for (const auto& [controller, path] : wanted) {
    const auto mount = mounts.v1.find(controller);
    if (mount == mounts.v1.end()) {
      return Fail(Code::kUnsupported, std::string("the cgroup v1 controller '") + controller +
                                          "' is not mounted; mount it or boot with cgroup v2");
    }
    const auto group = groups.find(controller);
    const std::string below = group == groups.end() ? "/" : group->second;
    *path = mount->second / below.substr(1);
    std::error_code error;
    if (!std::filesystem::is_directory(*path, error)) *path = mount->second;
  }
  return folders;
}

// Below our own group, so that limits set on the service hold for all it starts.
Result<std::unique_ptr<CgroupTree>> OpenV1(const Mounts& mounts, const std::string& name) {
  TRY_ASSIGN(const auto own, GroupsOf("self"));
  TRY_ASSIGN(const V1Hierarchies parents, V1Folders(mounts, own));
  return OpenCgroupV1Tree(parents, name);
}

// Where the tree goes under v2: below our own group when it was delegated to this process alone
// (a systemd service), since inner groups may not hold processes; else below the root.
Result<std::filesystem::path> V2Parent(const std::filesystem::path& root) {
  TRY_ASSIGN(const auto own, GroupsOf("self"));
  const auto found = own.find("");
  const std::string path = found == own.end() ? "/" : found->second;
  if (path == "/" || path.starts_with("/..")) return root;
  const std::filesystem::path group = root / path.substr(1);
  const UniqueFd folder(::open(group.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const std::vector<pid_t> processes = ReadProcesses(folder.get());
  if (processes.size() != 1 || processes[0] != ::getpid()) return root;
  if (!MakeFolder(group / "launcher")) return root;
  TRY_ASSIGN(const UniqueFd leaf, OpenFile(group / "launcher", O_RDONLY | O_DIRECTORY));
  TRY(WriteControl(leaf.get(), "cgroup.procs", "0"));
  return group;
}

// Whatever is done to a group is done to all in it. The kernel says "/" of a process that is ending,
// and the root has every process of the machine.
Result<> CheckIsItsOwn(pid_t pid, const std::map<std::string, std::string>& groups,
                       std::span<const char* const> controllers) {
  TRY_ASSIGN(const auto ours, GroupsOf("self"));
  for (const char* controller : controllers) {
    const auto group = groups.find(controller);
    const auto our = ours.find(controller);
    const bool shared = our != ours.end() && group != groups.end() && our->second == group->second;
    if (group == groups.end() || group->second == "/" || group->second.starts_with("/..") ||
        group->second.ends_with(" (deleted)") || shared) {
      return Fail(Code::kUnsupported, "process " + std::to_string(pid) +
                                          " is in no cgroup of its own ('" + controller + "')");
    }
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<CgroupTree>> OpenCgroupTree(const std::string& name) {
  TRY_ASSIGN(const Mounts mounts, FindMounts());
  if (mounts.v1.contains("memory")) return OpenV1(mounts, name);
  if (mounts.v2.empty()) {
    return Fail(Code::kUnsupported,
                "no cgroup file system is mounted; mount cgroup2 on /sys/fs/cgroup");
  }
  TRY_ASSIGN(const std::filesystem::path parent, V2Parent(mounts.v2));
  TRY_ASSIGN(const std::string controllers, ReadFile(parent / "cgroup.controllers"));
  for (const char* controller : {"memory", "pids", "cpu"}) {
    if ((" " + controllers).find(std::string(" ") + controller) == std::string::npos) {
      return Fail(Code::kUnsupported, "the cgroup " + parent.string() + " has no controller '" +
                                          controller + "'; delegate it (systemd: Delegate=yes)");
    }
  }
  return OpenCgroupV2Tree(parent, name);
}

Result<std::unique_ptr<Cgroup>> OpenCgroupOf(pid_t pid) {
  TRY_ASSIGN(const Mounts mounts, FindMounts());
  TRY_ASSIGN(const auto groups, GroupsOf(std::to_string(pid)));
  if (mounts.v1.contains("memory")) {
    constexpr const char* kUsed[] = {"memory", "pids", "cpu", "cpuacct", "freezer"};
    TRY(CheckIsItsOwn(pid, groups, kUsed));
    TRY_ASSIGN(const V1Hierarchies folders, V1Folders(mounts, groups));
    const std::filesystem::path* const all[] = {&folders.memory, &folders.pids, &folders.cpu,
                                                &folders.cpuacct, &folders.freezer};
    for (const auto& [controller, root] : mounts.v1) {
      for (const std::filesystem::path* folder : all) {
        if (*folder != root) continue;
        return Fail(Code::kUnsupported, "the cgroup of process " + std::to_string(pid) +
                                            " is gone ('" + controller + "')");
      }
    }
    return OpenCgroupV1Group(folders);
  }
  constexpr const char* kUnified[] = {""};
  if (mounts.v2.empty()) return Fail(Code::kUnsupported, "no cgroup file system is mounted");
  TRY(CheckIsItsOwn(pid, groups, kUnified));
  return OpenCgroupV2Group(mounts.v2 / groups.at("").substr(1));
}

}  // namespace hybridserve::sandbox
