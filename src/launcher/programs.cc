#include "launcher/programs.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <unistd.h>

#include <cstdlib>

#include "base/file.h"
#include "sandbox/mounts.h"

namespace hybridserve::launcher {
namespace {

// What a jailed program inherits of the environment: nothing that says where or who the host is.
constexpr const char* kPassedOn[] = {"HYBRIDSERVE_LOG", "RUST_BACKTRACE", "ASAN_OPTIONS",
                                     "UBSAN_OPTIONS", "TSAN_OPTIONS"};

constexpr uint64_t kLibraryFlags = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;

}  // namespace

Result<UniqueFd> OpenProgram(const std::string& name) {
  const std::filesystem::path path = ProgramFolder() / name;
  auto program = OpenFile(path, O_PATH);
  if (program) return program;
  return Fail(Code::kUnsupported, "there is no program " + path.string() +
                                      "; build or install all of HybridServe's programs together");
}

Result<> SetProgram(sandbox::JailSpec& jail, const Host& host, const std::string& name) {
  TRY_ASSIGN(jail.program, OpenProgram(name));
  std::error_code absent;
  const auto libraries = std::filesystem::canonical(ProgramFolder() / (name + ".libraries"), absent);
  if (absent || jail.isolation != sandbox::Isolation::kNamespaces) return {};
  jail.libraries = libraries;
  if (!host.root) return {};
  TRY_ASSIGN(const UniqueFd folder, OpenFile(libraries, O_PATH | O_DIRECTORY));
  TRY_ASSIGN(jail.libraries_tree, sandbox::CloneTree(folder.get(), -1, kLibraryFlags));
  return {};
}

sandbox::JailSpec BaseJail(const Host& host, uint32_t uid, uint32_t count) {
  sandbox::JailSpec jail;
  jail.isolation = host.isolation;
  jail.filter = &host.program_filter;
  if (host.root) {
    jail.users = jail.groups = {0, uid, count};
  } else {
    jail.users = {0, static_cast<uint32_t>(::geteuid()), 1};
    jail.groups = {0, static_cast<uint32_t>(::getegid()), 1};
    jail.set_groups = sandbox::SetGroups::kDeny;
  }
  jail.environment = {"PATH=/usr/bin:/bin", "LANG=C.UTF-8"};
  for (const char* name : kPassedOn) {
    if (const char* value = std::getenv(name))
      jail.environment.push_back(std::string(name) + "=" + value);
  }
  return jail;
}

Result<std::pair<UniqueFd, UniqueFd>> MakeOutputPipe() {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) return FailErrno("make a pipe");
  std::pair<UniqueFd, UniqueFd> pipe{UniqueFd(fds[0]), UniqueFd(fds[1])};
  if (::fcntl(fds[0], F_SETFL, O_NONBLOCK) != 0) return FailErrno("set O_NONBLOCK");
  return pipe;
}

}  // namespace hybridserve::launcher
