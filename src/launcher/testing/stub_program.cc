// Plays hybridserve-executor-wasmtime and hybridserve-unpack in the launcher's tests, by the name
// it is called by. An executor answers each datagram on its data socket:
//   "facts"   what it sees of its jail, as name=value lines
//   "crash"   executes an illegal instruction (a process 1 ignores signals that it raises itself)
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/file.h"
#include "ipc/seqpacket.h"
#include "sandbox/lockdown.h"

namespace hybridserve {
namespace {

constexpr int kScratch = 5;

int CountEntries(const char* path) {
  DIR* folder = ::opendir(path);
  if (folder == nullptr) return -1;
  int count = 0;
  while (const dirent* entry = ::readdir(folder)) count += entry->d_name[0] != '.';
  ::closedir(folder);
  return count;
}

std::string Facts() {
  std::string facts;
  const auto add = [&facts](const char* name, long value) {
    facts += std::string(name) + "=" + std::to_string(value) + "\n";
  };
  add("root_entries", CountEntries("/"));
  add("write_root", ::open("/x", O_WRONLY | O_CREAT, 0600) < 0 ? errno : 0);
  add("up", ::open("../../../../etc", O_PATH) < 0 ? errno : 0);
  struct statvfs scratch {};
  (void)::fstatvfs(kScratch, &scratch);
  add("scratch_bytes", static_cast<long>(scratch.f_blocks * scratch.f_frsize));
  add("scratch_write", ::openat(kScratch, "x", O_WRONLY | O_CREAT, 0600) < 0 ? errno : 0);
  add("scratch_up", ::openat(kScratch, "../usr", O_PATH) < 0 ? errno : 0);
  add("socket", ::socket(AF_INET, SOCK_STREAM, 0) < 0 ? errno : 0);
  add("fork", ::fork() < 0 ? errno : 0);
  add("exec", ::execl("/bin/true", "true", nullptr) < 0 ? errno : 0);
  bool threads = false;
  std::thread([&threads] { threads = true; }).join();
  add("threads", threads ? 1 : 0);
  return facts;
}

int Serve() {
  if (const auto locked = sandbox::Lockdown(sandbox::Profile::kExecutor); !locked) {
    std::fprintf(stderr, "%s\n", locked.error().message.c_str());
    return 1;
  }
  std::fprintf(stderr, "serving\n");
  std::string buffer(ipc::kMaxDatagramBytes, '\0');
  while (true) {
    auto received = ipc::Receive(3, buffer, ipc::Wait::kBlock);
    if (!received || received->size == 0) return 0;
    const std::string_view command(buffer.data(), received->size);
    if (command == "crash") __builtin_trap();
    if (!ipc::Send(3, command == "facts" ? Facts() : "what?", {}, ipc::Wait::kBlock)) return 1;
  }
}

// A compile, whose module says what to do: "echo TEXT", "fail TEXT", "eat", "sleep", "flood", "copy
// TEXT" (to descriptor 4).
int Job() {
  if (const auto locked = sandbox::Lockdown(sandbox::Profile::kJob); !locked) {
    std::fprintf(stderr, "%s\n", locked.error().message.c_str());
    return 1;
  }
  char module[64]{};
  if (::read(3, module, sizeof(module) - 1) <= 0) return 2;
  const std::string_view text = module;
  const std::string_view command = text.substr(0, text.find(' '));
  const char* argument = module + std::min(text.size(), command.size() + 1);
  if (command == "echo") std::printf("%s", argument);
  if (command == "fail") return std::fprintf(stderr, "%s", argument), 3;
  if (command == "sleep") ::poll(nullptr, 0, -1);
  if (command == "flood") {
    for (int i = 0; i < 20000; ++i) std::printf("0123456789\n");
  }
  if (command == "eat") {
    std::vector<std::string> eaten;
    while (eaten.size() < 4096) eaten.emplace_back(1 << 20, 'x');
  }
  if (command == "copy" && !WriteAll(4, argument)) return 4;
  return std::fflush(stdout) == 0 ? 0 : 5;
}

// The archive is the command: "good", "bad", "nothing", "climb".
int Unpack() {
  if (const auto locked = sandbox::Lockdown(sandbox::Profile::kUnpack); !locked) {
    std::fprintf(stderr, "%s\n", locked.error().message.c_str());
    return 2;
  }
  char bytes[32]{};
  if (::read(3, bytes, sizeof(bytes) - 1) < 0) return 2;
  const std::string_view command = bytes;
  if (command == "nothing") return 0;
  if (command == "bad") return std::fprintf(stderr, "not an archive\n"), 1;
  const UniqueFd file(::openat(4, "file", O_WRONLY | O_CREAT | O_EXCL, 0600));
  if (!file || !WriteAll(file.get(), "content")) return 2;
  if (::fchown(file.get(), 7, 8) != 0 || ::fchmod(file.get(), 04755) != 0) return 2;
  // Above the folder there is nothing: ".." leads back to it.
  const bool climbed = ::openat(4, "../rootfs", O_PATH) >= 0 ||
                       ::openat(4, "../../lock", O_PATH) >= 0 ||
                       ::openat(4, "../../../etc", O_PATH) >= 0;
  if (climbed) return std::fprintf(stderr, "climbed out\n"), 1;
  std::printf("{\"argv\":[\"/file\"]}\n");
  return std::fflush(stdout) == 0 ? 0 : 2;
}

}  // namespace
}  // namespace hybridserve

int main(int argc, char** argv) {
  const std::string_view name = argc > 0 ? argv[0] : "";
  if (name.ends_with("unpack")) return hybridserve::Unpack();
  const std::string_view command = argc > 1 ? argv[1] : "";
  if (command == "serve") return hybridserve::Serve();
  return hybridserve::Job();
}
