#include "launcher/folders.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <filesystem>

#include "base/file.h"
#include "base/log.h"
#include "ipc/seqpacket.h"
#include "launcher/programs.h"
#include "sandbox/id_range.h"
#include "sandbox/mounts.h"
#include "sandbox/process.h"

namespace hybridserve::launcher {
namespace {

// "/a//b/./" as "/a/b": what a person writes and what is compared.
std::string Normal(const std::string& path) {
  std::string normal = std::filesystem::path(path).lexically_normal().string();
  if (normal.size() > 1 && normal.ends_with('/')) normal.pop_back();
  return normal;
}

// `path` relative to `base`, or nothing when it is not below it: "." for `base` itself.
std::string Below(const std::string& base, const std::string& path) {
  const std::string prefix = base.ends_with('/') ? base : base + "/";
  if (path == base || path + "/" == prefix) return ".";
  return path.starts_with(prefix) ? path.substr(prefix.size()) : std::string();
}

Result<UniqueFd> OpenBelow(const std::string& base, const std::string& relative) {
  TRY_ASSIGN(const UniqueFd root, OpenFile(base, O_PATH | O_DIRECTORY));
  open_how how{};
  how.flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  UniqueFd folder(
      static_cast<int>(::syscall(SYS_openat2, root.get(), relative.c_str(), &how, sizeof(how))));
  if (!folder) return FailErrno("open the folder " + base + "/" + relative);
  return folder;
}

// A mount of its own, opened for reading names: a descriptor of the mount itself is O_PATH.
Result<UniqueFd> CloneAsMount(int folder, int owners, uint64_t flags) {
  TRY_ASSIGN(const UniqueFd tree, sandbox::CloneTree(folder, owners, flags));
  UniqueFd readable(::openat(tree.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!readable) return FailErrno("open the folder");
  return readable;
}

Result<UniqueFd> CloneForUser(int folder, const std::string& path, uint64_t flags, uint32_t uid) {
  const auto owners = sandbox::MakeSwapNamespace(kExecutorUid, uid);
  if (owners) {
    auto mounted = CloneAsMount(folder, owners->get(), flags);
    if (mounted) return mounted;
  }
  spdlog::warn(
      "the folder {} is on a file system that does not translate owners: an executor is user {} "
      "there, not {}, and reaches what group {} may",
      path, uid, kExecutorUid, kExecutorUid);
  return CloneAsMount(folder, -1, flags);
}

// An ordinary user may clone mounts in a user and mount namespace of its own: a child does it and
// hands the mount over.
Result<UniqueFd> CloneAsUser(int folder, uint64_t flags) {
  TRY_ASSIGN(auto sockets, ipc::MakePair());
  const int theirs = sockets.second.get();
  TRY_ASSIGN(const sandbox::Child child, sandbox::Clone({.namespaces = CLONE_NEWUSER}, [&] {
               if (::unshare(CLONE_NEWNS) != 0) return 1;
               const auto mounted = CloneAsMount(folder, -1, flags);
               if (!mounted) return 1;
               const int fd = mounted->get();
               return ipc::Send(theirs, "folder", {&fd, 1}, ipc::Wait::kBlock) ? 0 : 1;
             }));
  sockets.second.Reset();
  std::array<char, 16> buffer{};
  auto received = ipc::Receive(sockets.first.get(), buffer, ipc::Wait::kBlock);
  sandbox::Reap(child);
  if (!received || received->fds.size() != 1) {
    return Fail(Code::kUnsupported,
                "granting a folder needs root, or user namespaces; start the node as root");
  }
  return std::move(received->fds[0]);
}

}  // namespace

Result<UniqueFd> OpenAllowedFolder(const std::vector<std::string>& allowed, const std::string& path,
                                   Access access, uint32_t uid) {
  for (const std::string& base : allowed) {
    const std::string relative = Below(Normal(base), Normal(path));
    if (relative.empty()) continue;
    TRY_ASSIGN(const UniqueFd folder, OpenBelow(base, relative));
    const uint64_t flags = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC |
                           (access == Access::kWrite ? 0 : MOUNT_ATTR_RDONLY);
    if (::geteuid() != 0) return CloneAsUser(folder.get(), flags);
    return CloneForUser(folder.get(), path, flags, uid);
  }
  return Fail(Code::kForbidden, "the node does not allow functions the folder " + path +
                                    "; add it to wasm.allowed_folders of its configuration");
}

}  // namespace hybridserve::launcher
