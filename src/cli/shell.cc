#include "cli/shell.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <map>
#include <vector>

#include "base/unique_fd.h"

namespace hybridserve::cli {
namespace {

constexpr size_t kKeptBytes = 256 * 1024;

std::vector<std::string> Environment(const Variables& variables) {
  std::map<std::string, std::string> values;
  for (char** word = environ; word != nullptr && *word != nullptr; ++word) {
    const std::string entry = *word;
    const size_t equals = std::min(entry.find('='), entry.size());
    values[entry.substr(0, equals)] = entry.substr(std::min(entry.size(), equals + 1));
  }
  for (const auto& [name, value] : variables) values[name] = value;
  std::vector<std::string> environment;
  for (const auto& [name, value] : values) environment.push_back(name + "=" + value);
  return environment;
}

/// Reads to the end; keeps the last bytes.
std::string ReadTail(int fd) {
  std::string tail;
  std::array<char, 16 * 1024> piece{};
  for (;;) {
    const ssize_t got = ::read(fd, piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return tail;
    tail.append(piece.data(), static_cast<size_t>(got));
    if (tail.size() > 2 * kKeptBytes) tail.erase(0, tail.size() - kKeptBytes);
  }
}

Result<int> Wait(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return FailErrno("wait for a build command");
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

Result<ShellResult> RunShell(const ShellCommand& command) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return FailErrno("pipe");
  UniqueFd output(ends[0]);
  UniqueFd input(ends[1]);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  if (!command.folder.empty()) {
    posix_spawn_file_actions_addchdir_np(&actions, command.folder.c_str());
  }
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  if (command.show == ShellCommand::Show::kNo) {
    posix_spawn_file_actions_adddup2(&actions, input.get(), STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, input.get(), STDERR_FILENO);
  } else {
    // Standard output is for results.
    posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
  }
  std::string shell = "/bin/sh";
  std::string flag = "-c";
  std::string text = command.text;
  std::array<char*, 4> arguments = {shell.data(), flag.data(), text.data(), nullptr};
  std::vector<std::string> environment = Environment(command.variables);
  std::vector<char*> words;
  for (std::string& word : environment) words.push_back(word.data());
  words.push_back(nullptr);
  pid_t pid = -1;
  const int error =
      ::posix_spawn(&pid, shell.c_str(), &actions, nullptr, arguments.data(), words.data());
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return FailErrno("start " + shell, error);

  input.Reset();
  ShellResult result;
  result.output = ReadTail(output.get());
  TRY_ASSIGN(result.status, Wait(pid));
  if (result.output.size() > kKeptBytes) result.output.erase(0, result.output.size() - kKeptBytes);
  return result;
}

}  // namespace hybridserve::cli
