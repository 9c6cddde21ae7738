#include "sandbox/mounts.h"

#include <fcntl.h>
#include <sched.h>
#include <linux/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <sstream>

#include "base/file.h"

// glibc's <sys/mount.h> and <linux/mount.h> cannot be included together before glibc 2.37; the few
// calls needed are declared here.
extern "C" {
int mount(const char* source, const char* target, const char* type, unsigned long flags,
          const void* data) noexcept;
int umount2(const char* target, int flags) noexcept;
}

namespace hybridserve::sandbox {
namespace {

constexpr unsigned long kMsRemount = 32;
constexpr unsigned long kMsMove = 8192;
constexpr unsigned long kMsRec = 16384;
constexpr unsigned long kMsPrivate = 1 << 18;
constexpr int kMntDetach = 2;

int Fsopen(const char* type) {
  return static_cast<int>(::syscall(SYS_fsopen, type, FSOPEN_CLOEXEC));
}
int Fsconfig(int fd, unsigned command, const char* key, const char* value) {
  return static_cast<int>(::syscall(SYS_fsconfig, fd, command, key, value, 0));
}
int Fsmount(int fd, uint64_t flags) {
  return static_cast<int>(
      ::syscall(SYS_fsmount, fd, FSMOUNT_CLOEXEC, static_cast<unsigned>(flags)));
}
int MoveMountAt(int tree, const char* target) {
  return static_cast<int>(
      ::syscall(SYS_move_mount, tree, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH));
}
int OpenTree(int folder, const char* path, unsigned flags) {
  return static_cast<int>(
      ::syscall(SYS_open_tree, folder, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | flags));
}
int SetAttributes(int folder, const char* path, unsigned at_flags, mount_attr attributes) {
  return static_cast<int>(
      ::syscall(SYS_mount_setattr, folder, path, at_flags, &attributes, sizeof(attributes)));
}

std::string Quoted(const char* path) { return "'" + std::string(path) + "'"; }

// Makes a file system; returns a descriptor of its root.
Result<UniqueFd> Detached(const char* type, uint64_t flags, const std::string& options) {
  const std::string what = std::string("make a ") + type;
  const UniqueFd context(Fsopen(type));
  if (!context) return FailErrno(what);
  std::istringstream words(options);
  for (std::string word; std::getline(words, word, ',');) {
    const size_t equals = word.find('=');
    const std::string key = word.substr(0, equals);
    const int done =
        equals == std::string::npos
            ? Fsconfig(context.get(), FSCONFIG_SET_FLAG, key.c_str(), nullptr)
            : Fsconfig(context.get(), FSCONFIG_SET_STRING, key.c_str(), word.c_str() + equals + 1);
    if (done != 0) return FailErrno(what + ", option " + word);
  }
  if (Fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr) != 0) return FailErrno(what);
  UniqueFd tree(Fsmount(context.get(), flags));
  if (!tree) return FailErrno(what);
  return tree;
}

// Makes a file system and attaches it; returns a descriptor of its root.
Result<UniqueFd> Mount(const char* type, const char* target, uint64_t flags,
                       const std::string& options) {
  TRY_ASSIGN(UniqueFd tree, Detached(type, flags, options));
  if (MoveMountAt(tree.get(), target) != 0) {
    return FailErrno(std::string("mount a ") + type + " at " + Quoted(target));
  }
  return tree;
}

std::string TmpfsLimits(uint64_t bytes, uint64_t inodes) {
  return "size=" + std::to_string(bytes) + ",nr_inodes=" + std::to_string(inodes);
}

// Which mount "/" is of.
Result<uint64_t> MountIdOfRoot() {
  struct statx status {};
  if (::statx(AT_FDCWD, "/", 0, STATX_MNT_ID, &status) != 0) return FailErrno("look at /");
  return status.stx_mnt_id;
}

}  // namespace

Result<> MakeMountsPrivate() {
  if (::mount(nullptr, "/", nullptr, kMsRec | kMsPrivate, nullptr) != 0) {
    return FailErrno("make the mounts private");
  }
  return {};
}

Result<> LeaveChroot() {
  std::error_code error;
  const std::filesystem::path current = std::filesystem::current_path(error);
  if (error) return FailErrno("the current folder", error.value());
  TRY_ASSIGN(const uint64_t seen, MountIdOfRoot());
  const UniqueFd tree(static_cast<int>(::syscall(
      SYS_open_tree, AT_FDCWD, "/", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE)));
  if (!tree) return FailErrno("copy the mounts below /");
  TRY_ASSIGN(const UniqueFd own, OpenFile("/proc/self/ns/mnt", O_RDONLY));
  // Entering a mount namespace, also one's own, leads to its root.
  if (::setns(own.get(), CLONE_NEWNS) != 0) return FailErrno("enter the own mount namespace");
  TRY_ASSIGN(const uint64_t root, MountIdOfRoot());
  if (root != seen) {
    TRY(AttachTree(tree.get(), "/"));
    if (::fchdir(tree.get()) != 0 || ::chroot(".") != 0) return FailErrno("change the root");
  }
  if (::chdir(current.c_str()) != 0) return FailErrno("return to " + current.string());
  return {};
}

Result<UniqueFd> MountTmpfs(const char* target, uint64_t bytes, uint64_t inodes, uint64_t flags) {
  return Mount("tmpfs", target, flags, TmpfsLimits(bytes, inodes) + ",mode=0755");
}

Result<UniqueFd> DetachedTmpfs(uint64_t bytes, uint64_t inodes, uint64_t flags) {
  return Detached("tmpfs", flags, TmpfsLimits(bytes, inodes) + ",mode=0700");
}

Result<> ResizeTmpfs(const char* target, uint64_t bytes, uint64_t inodes) {
  const std::string options = TmpfsLimits(bytes, inodes);
  if (::mount(nullptr, target, nullptr, kMsRemount, options.c_str()) != 0) {
    return FailErrno("resize the tmpfs at " + Quoted(target) + " to " + options);
  }
  return {};
}

Result<> MountNew(const char* type, const char* target, uint64_t flags,
                  const std::string& options) {
  TRY(Mount(type, target, flags, options));
  return {};
}

Result<> Bind(const char* source, const char* target, uint64_t flags) {
  const std::string what = "bind " + Quoted(source) + " to " + Quoted(target);
  const UniqueFd tree(OpenTree(AT_FDCWD, source, AT_RECURSIVE | AT_SYMLINK_NOFOLLOW));
  if (!tree) return FailErrno(what);
  mount_attr attributes{};
  attributes.attr_set = flags;
  if (flags != 0 && SetAttributes(tree.get(), "", AT_EMPTY_PATH | AT_RECURSIVE, attributes) != 0) {
    return FailErrno(what + ", flags");
  }
  if (MoveMountAt(tree.get(), target) != 0) return FailErrno(what);
  return {};
}

Result<> AddMountFlags(const char* target, uint64_t flags, Recursive recursive) {
  mount_attr attributes{};
  attributes.attr_set = flags;
  const unsigned at = recursive == Recursive::kYes ? AT_RECURSIVE : 0;
  if (SetAttributes(AT_FDCWD, target, at, attributes) != 0) {
    return FailErrno("set mount flags of " + Quoted(target));
  }
  return {};
}

Result<> AttachTree(int tree, const char* target) {
  if (MoveMountAt(tree, target) != 0) return FailErrno("attach a tree at " + Quoted(target));
  return {};
}

Result<> MoveMount(const char* source, const char* target) {
  if (::mount(source, target, nullptr, kMsMove, nullptr) != 0) {
    return FailErrno("move the mount " + Quoted(source) + " to " + Quoted(target));
  }
  return {};
}

Result<UniqueFd> CloneTree(int folder, int user_namespace, uint64_t flags) {
  UniqueFd tree(OpenTree(folder, "", AT_EMPTY_PATH));
  if (!tree) return FailErrno("open_tree");
  mount_attr attributes{};
  attributes.attr_set = flags;
  if (user_namespace >= 0) {
    attributes.attr_set |= MOUNT_ATTR_IDMAP;
    attributes.userns_fd = static_cast<uint64_t>(user_namespace);
  }
  if (attributes.attr_set != 0 && SetAttributes(tree.get(), "", AT_EMPTY_PATH, attributes) != 0) {
    if (errno == EINVAL && user_namespace >= 0) {
      return Fail(
          Code::kUnsupported,
          "the state folder's file system has no idmapped mounts; use ext4, xfs or btrfs on "
          "Linux 5.19 or later");
    }
    return FailErrno("mount_setattr");
  }
  return tree;
}

Result<> PivotToCurrentFolder() {
  // Both arguments are the new root: the old one ends up mounted over it and is then detached.
  if (::syscall(SYS_pivot_root, ".", ".") != 0) return FailErrno("pivot_root");
  if (::umount2(".", kMntDetach) != 0) return FailErrno("detach the old root");
  if (::chdir("/") != 0) return FailErrno("chdir /");
  return {};
}

Result<> MakeFolderAt(const char* path, unsigned mode) {
  if (::mkdir(path, mode) != 0 && errno != EEXIST)
    return FailErrno("make the folder " + Quoted(path));
  if (::chmod(path, mode) != 0) return FailErrno("chmod " + Quoted(path));
  return {};
}

Result<> MakeEmptyFile(const char* path) {
  const UniqueFd fd(::open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644));
  if (!fd) return FailErrno("make the file " + Quoted(path));
  return {};
}

}  // namespace hybridserve::sandbox
