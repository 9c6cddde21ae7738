#include "sandbox/lockdown.h"

#include <dirent.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <memory>

#include "sandbox/jail_layout.h"
#include "sandbox/privileges.h"
#include "sandbox/seccomp.h"

namespace hybridserve::sandbox {
namespace {

struct CloseFolder {
  void operator()(DIR* folder) const { ::closedir(folder); }
};
using Folder = std::unique_ptr<DIR, CloseFolder>;

// How many entries a folder has besides "." and "..", or -1.
int CountEntries(const char* path) {
  const Folder folder(::opendir(path));
  if (!folder) return -1;
  int count = 0;
  while (const dirent* entry = ::readdir(folder.get())) {
    if (std::strcmp(entry->d_name, ".") != 0 && std::strcmp(entry->d_name, "..") != 0) ++count;
  }
  return count;
}

// Puts the empty folder that the launcher prepared in the place of the whole mount tree.
Result<> LeaveMountTree() {
  if (CountEntries("/proc/self/task") > 1) {
    return Fail(Code::kConflict, "Lockdown() was called after threads had started");
  }
  if (::chdir(kEmptyFolder) != 0) return FailErrno("enter the jail's empty folder");
  if (::syscall(SYS_pivot_root, ".", ".") != 0) return FailErrno("pivot_root");
  if (::umount2(".", MNT_DETACH) != 0) return FailErrno("detach the old root");
  if (::chdir("/") != 0) return FailErrno("chdir /");
  struct statvfs root {};
  if (::statvfs("/", &root) != 0) return FailErrno("statvfs /");
  if (CountEntries("/") != 0 || (root.f_flag & ST_RDONLY) == 0) {
    return Fail(Code::kInternal, "the jail's root is not an empty read-only folder");
  }
  return {};
}

Filter FilterOf(Profile profile) {
  switch (profile) {
    case Profile::kExecutor:
      return Filter::kExecutor;
    case Profile::kJob:
      return Filter::kJob;
    case Profile::kUnpack:
      return Filter::kUnpack;
    case Profile::kServer:
      return Filter::kServer;
  }
  return Filter::kJob;
}

}  // namespace

Result<> Lockdown(Profile profile) {
  TRY_ASSIGN(const BpfProgram filter, CompileFilter(FilterOf(profile)));
  const bool server = profile == Profile::kServer;
  const bool jailed = !server && std::getenv(kJailVariable) != nullptr;
  if (jailed) TRY(LeaveMountTree());
  if (profile == Profile::kUnpack && jailed) {
    TRY(KeepOnlyCapabilities(kUnpackCapabilities));
  } else {
    TRY(DropAllCapabilities());
  }
  TRY(SetNoNewPrivileges());
  return InstallFilter(filter, server ? LogRefused::kYes : LogRefused::kNo);
}

}  // namespace hybridserve::sandbox
