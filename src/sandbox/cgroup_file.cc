#include "sandbox/cgroup_file.h"

#include <algorithm>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <set>
#include <thread>

#include "base/unique_fd.h"

namespace hybridserve::sandbox {
namespace {

uint64_t ParseNumber(std::string_view text) {
  uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

}  // namespace

Result<> WriteControl(int folder, const char* file, std::string_view text) {
  const UniqueFd fd(::openat(folder, file, O_WRONLY | O_CLOEXEC));
  if (!fd) return FailErrno(std::string("open the cgroup's ") + file);
  if (::write(fd.get(), text.data(), text.size()) < 0) {
    return FailErrno("write '" + std::string(text) + "' to the cgroup's " + file);
  }
  return {};
}

Result<std::string> ReadControl(int folder, const char* file) {
  const UniqueFd fd(::openat(folder, file, O_RDONLY | O_CLOEXEC));
  if (!fd) return FailErrno(std::string("open the cgroup's ") + file);
  std::string text;
  char buffer[4096];
  while (text.size() < 64 * 1024) {
    const ssize_t got = ::read(fd.get(), buffer, sizeof(buffer));
    if (got < 0) return FailErrno(std::string("read the cgroup's ") + file);
    if (got == 0) break;
    text.append(buffer, static_cast<size_t>(got));
  }
  return text;
}

uint64_t ReadNumber(int folder, const char* file) {
  const auto text = ReadControl(folder, file);
  return text ? ParseNumber(*text) : 0;
}

uint64_t ReadKeyed(int folder, const char* file, std::string_view key) {
  const auto text = ReadControl(folder, file);
  if (!text) return 0;
  std::string_view rest = *text;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (line.size() > key.size() && line.starts_with(key) && line[key.size()] == ' ') {
      return ParseNumber(line.substr(key.size() + 1));
    }
  }
  return 0;
}

std::vector<pid_t> ReadProcesses(int folder) {
  std::vector<pid_t> pids;
  const auto text = ReadControl(folder, "cgroup.procs");
  if (!text) return pids;
  std::string_view rest = *text;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    // 0 is a process of another pid namespace, which kill() would take for "my own group".
    if (const auto pid = static_cast<pid_t>(ParseNumber(line)); pid > 0) pids.push_back(pid);
  }
  return pids;
}

void KillProcesses(int folder) {
  std::set<pid_t> seen;
  for (int pass = 0; pass < 100; ++pass) {
    bool found_new = false;
    const std::vector<pid_t> processes = ReadProcesses(folder);
    // Never a group that this process is in: it would be the root, or a service's.
    if (std::find(processes.begin(), processes.end(), ::getpid()) != processes.end()) return;
    for (const pid_t pid : processes) {
      ::kill(pid, SIGKILL);
      found_new |= seen.insert(pid).second;
    }
    if (!found_new) return;
  }
}

Result<> RemoveGroupFolders(const std::filesystem::path& folder, Which which) {
  std::error_code error;
  std::vector<std::filesystem::path> below;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (entry.is_directory(error)) below.push_back(entry.path());
  }
  for (const auto& group : below) TRY(RemoveGroupFolders(group, Which::kFolderToo));
  if (which == Which::kBelow) return {};
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  while (::rmdir(folder.c_str()) != 0 && errno != ENOENT) {
    if (errno != EBUSY || std::chrono::steady_clock::now() > deadline) {
      return FailErrno("remove the cgroup " + folder.string());
    }
    const UniqueFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    KillProcesses(fd.get());
    // Only a leftover of a killed launcher comes here; its processes end within microseconds.
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return {};
}

}  // namespace hybridserve::sandbox
