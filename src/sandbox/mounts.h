// Mounts: the mount calls that sandboxes are made of, with the new mount API (Linux 5.12 and
// later).
//
// Paths are relative to the current folder where they do not start with "/". A target must be a
// real folder or file, never a link that a guest could have made: callers make the targets.
//
// Thread rule: each call acts on the caller's mount namespace.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace hybridserve::sandbox {

/// Cuts every mount of this namespace off from the namespace it was copied from.
Result<> MakeMountsPrivate();

/// Puts a process that was chrooted at the root of its mount namespace, which has to be its own:
/// the kernel gives user namespaces to nobody in a chroot. What it sees stays the same, its current
/// folder too; nothing happens to a process that is not in a chroot. Needs real root.
Result<> LeaveChroot();

/// A tmpfs over the folder `target`, of at most `bytes` and `inodes`. Returns a descriptor of its
/// root. `flags` are MOUNT_ATTR_*.
Result<UniqueFd> MountTmpfs(const char* target, uint64_t bytes, uint64_t inodes, uint64_t flags);

/// The same without a place: only the descriptor leads there, and nothing above it.
Result<UniqueFd> DetachedTmpfs(uint64_t bytes, uint64_t inodes, uint64_t flags);

/// Changes the limits of the tmpfs mounted at `target`.
Result<> ResizeTmpfs(const char* target, uint64_t bytes, uint64_t inodes);

/// A file system of `type` ("proc", "devpts") over `target`. `options` is "key=value,flag".
Result<> MountNew(const char* type, const char* target, uint64_t flags, const std::string& options);

/// Shows `source` at `target` too, with what is mounted below it, and MOUNT_ATTR_* `flags` added
/// to each of these mounts.
Result<> Bind(const char* source, const char* target, uint64_t flags);

/// Adds MOUNT_ATTR_* flags to the mount at `target` (and those below it: `recursive`).
enum class Recursive { kNo, kYes };
Result<> AddMountFlags(const char* target, uint64_t flags, Recursive recursive);

/// Attaches a detached mount (from CloneTree) at `target`.
Result<> AttachTree(int tree, const char* target);
/// Moves the mount at `source` to `target`.
Result<> MoveMount(const char* source, const char* target);

/// A detached mount of the folder: through its descriptor nothing above the folder can be reached.
/// With `user_namespace` >= 0 owners are translated by that namespace's map (needs real root, and
/// a file system that can do it).
Result<UniqueFd> CloneTree(int folder, int user_namespace, uint64_t flags);

/// Makes the current folder, a mount of its own, the root and lets go of the old one.
Result<> PivotToCurrentFolder();

/// Makes a folder; one that exists is fine.
Result<> MakeFolderAt(const char* path, unsigned mode);
/// Makes an empty file to bind something over.
Result<> MakeEmptyFile(const char* path);

}  // namespace hybridserve::sandbox
