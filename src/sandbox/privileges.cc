#include "sandbox/privileges.h"

#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>

namespace hybridserve::sandbox {
namespace {

Result<> SetCapabilities(Capabilities permitted, Capabilities inheritable) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2]{};
  for (int half = 0; half < 2; ++half) {
    data[half].effective = data[half].permitted = static_cast<uint32_t>(permitted >> (32 * half));
    data[half].inheritable = static_cast<uint32_t>(inheritable >> (32 * half));
  }
  if (::syscall(SYS_capset, &header, data) != 0) return FailErrno("capset");
  return {};
}

Result<Capabilities> PermittedCapabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2]{};
  if (::syscall(SYS_capget, &header, data) != 0) return FailErrno("capget");
  return data[0].permitted | uint64_t{data[1].permitted} << 32;
}

Result<> Limit(__rlimit_resource resource, uint64_t value, const char* name) {
  rlimit current{};
  if (::getrlimit(resource, &current) != 0) return FailErrno(std::string("getrlimit ") + name);
  const rlim_t bound = std::min<rlim_t>(value, current.rlim_max);
  const rlimit wanted{bound, bound};
  if (::setrlimit(resource, &wanted) != 0) return FailErrno(std::string("setrlimit ") + name);
  return {};
}

}  // namespace

Result<> KeepOnlyCapabilities(Capabilities keep) {
  // Inheritable ones must be in the bounding set when they are added; emptying that set takes
  // CAP_SETPCAP, which goes last.
  TRY_ASSIGN(const Capabilities held, PermittedCapabilities());
  TRY(SetCapabilities(held & (keep | CapabilitySet({CAP_SETPCAP})), held & keep));
  int present = 0;
  for (int number = 0; (present = ::prctl(PR_CAPBSET_READ, number, 0, 0, 0)) >= 0; ++number) {
    if (present == 1 && ::prctl(PR_CAPBSET_DROP, number, 0, 0, 0) != 0) {
      return FailErrno("drop a bounding capability");
    }
  }
  if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0) {
    return FailErrno("clear the ambient capabilities");
  }
  return SetCapabilities(held & keep, held & keep);
}

Result<> DropAllCapabilities() {
  if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0) {
    return FailErrno("clear the ambient capabilities");
  }
  return SetCapabilities(0, 0);
}

Result<> SetNoNewPrivileges() {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return FailErrno("prctl(PR_SET_NO_NEW_PRIVS)");
  return {};
}

Result<> BecomeUser(uid_t uid, gid_t gid, Groups groups) {
  if (groups == Groups::kClear && ::setgroups(0, nullptr) != 0) return FailErrno("setgroups");
  if (::setresgid(gid, gid, gid) != 0) return FailErrno("become group " + std::to_string(gid));
  if (::setresuid(uid, uid, uid) != 0) return FailErrno("become user " + std::to_string(uid));
  return {};
}

void AllowManyDescriptors() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

Result<> SetResourceLimits(const ResourceLimits& limits) {
  TRY(Limit(RLIMIT_NOFILE, limits.open_files, "RLIMIT_NOFILE"));
  TRY(Limit(RLIMIT_FSIZE, limits.file_bytes, "RLIMIT_FSIZE"));
  TRY(Limit(RLIMIT_CORE, 0, "RLIMIT_CORE"));
  TRY(Limit(RLIMIT_MEMLOCK, 64 * 1024, "RLIMIT_MEMLOCK"));
  TRY(Limit(RLIMIT_MSGQUEUE, 0, "RLIMIT_MSGQUEUE"));
  TRY(Limit(RLIMIT_NICE, 0, "RLIMIT_NICE"));
  TRY(Limit(RLIMIT_RTPRIO, 0, "RLIMIT_RTPRIO"));
  TRY(Limit(RLIMIT_SIGPENDING, 4096, "RLIMIT_SIGPENDING"));
  return Limit(RLIMIT_STACK, 8u << 20, "RLIMIT_STACK");
}

}  // namespace hybridserve::sandbox
