#include "sandbox/jail.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>

#include "base/file.h"
#include "ipc/seqpacket.h"
#include "sandbox/jail_layout.h"
#include "sandbox/mounts.h"
#include "sandbox/namespaces.h"

namespace hybridserve::sandbox {
namespace {

constexpr uint64_t kReadOnly = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
constexpr const char* kLibraryFolders[] = {"usr/lib", "usr/lib64", "lib", "lib64"};

constexpr uint64_t kScratchFlags = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
// One for each page, as the quotas of what is in it count, and some for folders to put it in.
constexpr uint64_t kScratchInodeBytes = 4096;
constexpr uint64_t kExtraScratchInodes = 1024;

// Shows one folder of libraries; a link (merged /usr) stays a link.
Result<> ShowLibraries(const std::string& folder) {
  const std::string host = "/" + folder;
  struct stat info {};
  if (::lstat(host.c_str(), &info) != 0) return {};
  if (S_ISLNK(info.st_mode)) {
    std::array<char, 4096> target{};
    const ssize_t size = ::readlink(host.c_str(), target.data(), target.size() - 1);
    if (size < 0 || ::symlink(target.data(), folder.c_str()) != 0) return FailErrno("link " + host);
    return {};
  }
  TRY(MakeFolderAt(folder.c_str(), 0755));
  return Bind(host.c_str(), folder.c_str(), kReadOnly);
}

// The folder of the program's own libraries, before the tree around it is hidden.
Result<UniqueFd> OpenLibraries(const JailSpec& spec) {
  if (spec.libraries.empty() || spec.libraries_tree) return UniqueFd();
  TRY_ASSIGN(const UniqueFd folder, OpenFile(spec.libraries, O_PATH | O_DIRECTORY));
  return CloneTree(folder.get(), -1, kReadOnly);
}

// Attaches it at its path below the current folder.
Result<> ShowOwnLibraries(const std::string& path, int tree) {
  for (size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    TRY(MakeFolderAt(path.substr(1, end - 1).c_str(), 0755));
    if (end == std::string::npos) break;
  }
  return AttachTree(tree, path.c_str() + 1);
}

bool IsShown(const std::string& path) {
  return std::ranges::any_of(kLibraryFolders, [&path](const char* folder) {
    return path.starts_with("/" + std::string(folder) + "/");
  });
}

Result<> BuildView(const JailSpec& spec) {
  TRY_ASSIGN(const UniqueFd opened, OpenLibraries(spec));
  TRY_ASSIGN(const UniqueFd staging,
             MountTmpfs("/tmp", 64 * 1024, 64, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV));
  if (::fchdir(staging.get()) != 0) return FailErrno("enter the staging folder");
  TRY(MakeFolderAt("usr", 0755));
  for (const char* folder : kLibraryFolders) TRY(ShowLibraries(folder));
  if (!spec.libraries.empty() && !IsShown(spec.libraries)) {
    TRY(ShowOwnLibraries(spec.libraries, (opened ? opened : spec.libraries_tree).get()));
  }
  TRY(MakeFolderAt("proc", 0555));
  // Sanitizers read their own maps. A machine that forbids a new /proc does without.
  (void)MountNew("proc", "proc", kReadOnly | MOUNT_ATTR_NOEXEC, "");
  const char* empty = kEmptyFolder + 1;
  TRY(MakeFolderAt(empty, 0555));
  TRY(MountTmpfs(empty, 4096, 2, kReadOnly | MOUNT_ATTR_NOEXEC));
  TRY(AddMountFlags(".", kReadOnly, Recursive::kNo));
  return PivotToCurrentFolder();
}

Result<UniqueFd> MakeScratch(const JailSpec& spec) {
  if (spec.scratch_bytes == 0 || spec.isolation == Isolation::kNone) return UniqueFd();
  const uint64_t inodes = spec.scratch_bytes / kScratchInodeBytes + kExtraScratchInodes;
  return DetachedTmpfs(spec.scratch_bytes, inodes, kScratchFlags);
}

Result<> PrepareStdio(int output) {
  const UniqueFd null(::open("/dev/null", O_RDONLY));
  if (!null) return FailErrno("open /dev/null");
  if (::dup2(null.get(), 0) < 0) return FailErrno("dup2");
  for (const int fd : {1, 2}) {
    if (::dup2(output, fd) < 0) return FailErrno("dup2");
  }
  return {};
}

Result<> WaitForGo(int control) {
  std::array<char, 16> buffer{};
  TRY_ASSIGN(const auto received, ipc::Receive(control, buffer, ipc::Wait::kBlock));
  if (received.size == 0) return Fail(Code::kCancelled, "the launcher gave up");
  return {};
}

Result<> EnterJail(const JailSpec& spec, const std::vector<int>& join_fds, int control) {
  TRY(WaitForGo(control));
  if (::setsid() < 0) return FailErrno("setsid");
  if (spec.isolation == Isolation::kNone) {
    if (::geteuid() == 0) TRY(BecomeUser(spec.users.outside, spec.groups.outside, Groups::kClear));
    return DieWithParent(control);
  }
  const bool clear = spec.set_groups == SetGroups::kAllow;
  TRY(BecomeUser(0, 0, clear ? Groups::kClear : Groups::kLeave));
  TRY(DieWithParent(control));
  TRY(EnterNamespaces(join_fds));
  if (::sethostname(spec.host_name.data(), spec.host_name.size()) != 0)
    return FailErrno("sethostname");
  return BuildView(spec);
}

[[nodiscard]] Error Execute(const JailSpec& spec, int program) {
  std::vector<char*> argv;
  for (const std::string& argument : spec.argv) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  std::vector<char*> envp;
  for (const std::string& variable : spec.environment) {
    envp.push_back(const_cast<char*>(variable.c_str()));
  }
  std::string marker = std::string(kJailVariable) + "=1";
  if (spec.isolation == Isolation::kNamespaces) envp.push_back(marker.data());
  envp.push_back(nullptr);
  ::syscall(SYS_execveat, program, "", argv.data(), envp.data(), AT_EMPTY_PATH);
  return FailErrno("run " + spec.argv[0]).value();
}

Result<> RunInside(const JailSpec& spec, const std::vector<int>& join_fds, int control) {
  TRY(PrepareStdio(spec.output));
  std::vector<int> keep = join_fds;
  keep.insert(keep.end(), spec.fds.begin(), spec.fds.end());
  keep.push_back(control);
  keep.push_back(spec.program.get());
  if (spec.libraries_tree) keep.push_back(spec.libraries_tree.get());
  CloseAllExcept(keep);
  TRY(EnterJail(spec, join_fds, control));
  TRY_ASSIGN(const UniqueFd scratch, MakeScratch(spec));
  std::vector<int> fds = spec.fds;
  if (scratch) fds.push_back(scratch.get());
  TRY_ASSIGN(const int program, ArrangeDescriptors(fds, spec.program.get()));
  TRY(SetResourceLimits(spec.limits));
  if (spec.isolation == Isolation::kNamespaces) {
    TRY(KeepOnlyCapabilities(spec.capabilities | kStartCapabilities));
  } else {
    TRY(DropAllCapabilities());
  }
  TRY(SetNoNewPrivileges());
  TRY(InstallFilter(*spec.filter));
  return tl::unexpected(Execute(spec, program));
}

}  // namespace

Result<Child> StartJailed(const JailSpec& spec) {
  const std::vector<int> join =
      spec.cgroup != nullptr ? spec.cgroup->join_fds() : std::vector<int>();
  TRY_ASSIGN(auto sockets, ipc::MakePair());
  const bool namespaces = spec.isolation == Isolation::kNamespaces;
  const int control = sockets.second.get();
  TRY_ASSIGN(Child child, Clone({.namespaces = namespaces ? CLONE_NEWUSER | CLONE_NEWPID : 0ul,
                                 .cgroup = spec.cgroup != nullptr ? spec.cgroup->clone_fd() : -1},
                                [&] {
                                  const auto ran = RunInside(spec, join, control);
                                  (void)WriteAll(2, ran.error().message + "\n");
                                  return 126;
                                }));
  Result<> ready;
  if (namespaces) ready = MapIds(child.pid, {&spec.users, 1}, {&spec.groups, 1}, spec.set_groups);
  if (ready) ready = ipc::Send(sockets.first.get(), "go", {}, ipc::Wait::kDont);
  if (!ready) {
    Kill(child);
    Reap(child);
    return tl::unexpected(ready.error());
  }
  child.lifeline = std::move(sockets.first);
  return child;
}

Isolation ProbeIsolation() {
  auto child = Clone({.namespaces = CLONE_NEWUSER | CLONE_NEWPID}, [] {
    constexpr int kOwn = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWCGROUP;
    if (::unshare(kOwn) != 0) return 1;
    return MakeMountsPrivate() ? 0 : 1;
  });
  if (!child) return Isolation::kNone;
  return Reap(*child) == 0 ? Isolation::kNamespaces : Isolation::kNone;
}

}  // namespace hybridserve::sandbox
