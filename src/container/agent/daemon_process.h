// DaemonProcess: a runtime's daemon that a test starts by hand and ends by its pid.
//
// Thread rule: test code, one thread.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "base/file.h"
#include "container/test_loop.h"

namespace hybridserve {

class DaemonProcess {
 public:
  ~DaemonProcess() { End(SIGTERM); }

  /// Runs `words`, with its output in the file `log`, until `answers` says that it does.
  void Start(TestLoop& loop, std::vector<std::string> words, const std::filesystem::path& log,
             const std::function<bool()>& answers) {
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    const int error = ::posix_spawn(&pid_, argv[0], &actions, nullptr, argv.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    if (error != 0) throw std::runtime_error("cannot run " + words[0]);
    loop.RunUntil([this, &log, &answers] {
      int status = 0;
      if (::waitpid(pid_, &status, WNOHANG) == pid_) {
        pid_ = -1;
        throw std::runtime_error("it ended: " + ReadFile(log).value_or(""));
      }
      return answers();
    });
  }
  /// Idempotent.
  void End(int signal) {
    if (pid_ <= 0) return;
    ::kill(pid_, signal);
    int status = 0;
    ::waitpid(std::exchange(pid_, -1), &status, 0);
  }

 private:
  pid_t pid_ = -1;
};

}  // namespace hybridserve
