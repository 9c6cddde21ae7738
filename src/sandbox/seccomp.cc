#include "sandbox/seccomp.h"

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <string>

#include "base/unique_fd.h"
#include "sandbox/seccomp_lists.h"

namespace hybridserve::sandbox {
namespace {

#if defined(__x86_64__)
constexpr uint32_t kAuditArch = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t kAuditArch = AUDIT_ARCH_AARCH64;
#else
#error "name this architecture's AUDIT_ARCH here"
#endif
constexpr uint32_t kX32Bit = 0x40000000;

using Context = std::unique_ptr<void, decltype(&seccomp_release)>;

tl::unexpected<Error> FailSeccomp(const std::string& what, int negative_errno) {
  return FailErrno("seccomp: " + what, -negative_errno);
}

Result<> AddRules(scmp_filter_ctx context, Filter filter) {
  for (const auto& group : AllowedCalls(filter)) {
    for (const char* name : group) {
      const int number = seccomp_syscall_resolve_name(name);
      if (number < 0) continue;  // Not a call of this architecture.
      const int done = seccomp_rule_add(context, SCMP_ACT_ALLOW, number, 0);
      if (done != 0 && done != -EEXIST) return FailSeccomp(name, done);
    }
  }
  for (const ArgumentRule& rule : AllowedWithArguments(filter)) {
    const int number = seccomp_syscall_resolve_name(rule.name);
    if (number < 0) continue;
    const int done =
        seccomp_rule_add_array(context, SCMP_ACT_ALLOW, number,
                               static_cast<unsigned>(rule.arguments.size()), rule.arguments.data());
    if (done != 0 && done != -EEXIST) return FailSeccomp(rule.name, done);
  }
  // clone3 hides its flags behind a pointer: libraries fall back to clone.
  const int done = seccomp_rule_add(context, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
  return done == 0 ? Result<>() : FailSeccomp("clone3", done);
}

// The highest call number that libseccomp knows; what is newer cannot be in the lists.
uint32_t NewestKnownCall() {
  uint32_t newest = 0;
  for (int number = 0; number < 1024; ++number) {
    char* name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, number);
    if (name != nullptr) newest = static_cast<uint32_t>(number);
    std::free(name);
  }
  return newest;
}

// Puts "newer than known: ENOSYS" in front of the list.
BpfProgram Prefix() {
  const uint32_t newest = NewestKnownCall();
  return {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kAuditArch, 0, 4),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, kX32Bit, 2, 0),
      BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, newest, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
  };
}

Result<BpfProgram> Export(scmp_filter_ctx context) {
  const UniqueFd file(::memfd_create("seccomp", MFD_CLOEXEC));
  if (!file) return FailErrno("memfd_create");
  const int done = seccomp_export_bpf(context, file.get());
  if (done != 0) return FailSeccomp("export the filter", done);
  const off_t bytes = ::lseek(file.get(), 0, SEEK_END);
  BpfProgram program = Prefix();
  const size_t start = program.size();
  program.resize(start + static_cast<size_t>(bytes) / sizeof(sock_filter));
  if (::pread(file.get(), program.data() + start, static_cast<size_t>(bytes), 0) != bytes) {
    return FailErrno("read the filter back");
  }
  if (program.size() > BPF_MAXINSNS) return Fail(Code::kInternal, "the filter is too long");
  return program;
}

}  // namespace

Result<BpfProgram> CompileFilter(Filter filter) {
  const Context context(seccomp_init(SCMP_ACT_ERRNO(EPERM)), seccomp_release);
  if (!context) return Fail(Code::kInternal, "seccomp: cannot make a filter");
  // A balanced tree instead of one long chain of comparisons.
  (void)seccomp_attr_set(context.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);
  (void)seccomp_attr_set(context.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
  TRY(AddRules(context.get(), filter));
  return Export(context.get());
}

Result<> InstallFilter(const BpfProgram& program, LogRefused log) {
  const sock_fprog fprog{static_cast<unsigned short>(program.size()),
                         const_cast<sock_filter*>(program.data())};
  const unsigned flags =
      SECCOMP_FILTER_FLAG_TSYNC | (log == LogRefused::kYes ? SECCOMP_FILTER_FLAG_LOG : 0u);
  const long done = ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &fprog);
  if (done > 0) return Fail(Code::kConflict, "seccomp: a thread has another filter already");
  if (done < 0) return FailErrno("seccomp: install the filter");
  return {};
}

}  // namespace hybridserve::sandbox
