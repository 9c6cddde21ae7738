#include "executors/tests/spawning_host.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "ipc/seqpacket.h"

namespace hybridserve {
namespace {

// Starts the program with `fds` as 3, 4, ... and `output` (unless -1) as stdout and stderr.
pid_t Spawn(const std::string& program, const std::vector<std::string>& arguments,
            const std::vector<int>& fds, int output) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  if (output >= 0) {
    posix_spawn_file_actions_adddup2(&actions, output, 1);
    posix_spawn_file_actions_adddup2(&actions, output, 2);
  }
  // By way of high numbers, so that no one is overwritten before it is moved.
  constexpr int kHigh = 200;
  for (size_t i = 0; i < fds.size(); ++i) {
    posix_spawn_file_actions_adddup2(&actions, fds[i], kHigh + static_cast<int>(i));
  }
  for (size_t i = 0; i < fds.size(); ++i) {
    posix_spawn_file_actions_adddup2(&actions, kHigh + static_cast<int>(i),
                                     3 + static_cast<int>(i));
    posix_spawn_file_actions_addclose(&actions, kHigh + static_cast<int>(i));
  }
  const std::string path = (ProgramFolder() / program).string();
  std::vector<char*> argv = {const_cast<char*>(path.c_str())};
  for (const std::string& word : arguments) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  pid_t pid = -1;
  if (::posix_spawn(&pid, path.c_str(), &actions, nullptr, argv.data(), environ) != 0) pid = -1;
  posix_spawn_file_actions_destroy(&actions);
  return pid;
}

void KillAndReap(pid_t pid) {
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
}

}  // namespace

std::vector<std::string> LockdownArguments() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return {"--no-lockdown"};
#else
  return {};
#endif
}

SpawningHost::~SpawningHost() {
  for (const auto& [id, pid] : running_) KillAndReap(pid);
}

Awaitable<StartedExecutor> SpawningHost::StartExecutor(ExecutorSpec spec) {
  if (refuse_) co_return Fail(Code::kUnavailable, "refused by the test");
  CO_TRY_ASSIGN(auto data, ipc::MakePair());
  CO_TRY_ASSIGN(auto control, ipc::MakePair());
  std::vector<std::string> arguments = LockdownArguments();
  arguments.push_back("serve");
  arguments.push_back("--compiler");
  arguments.push_back(spec.compiler);
  arguments.push_back("--threads");
  arguments.push_back(std::to_string(spec.threads));
  arguments.emplace_back("--scratch");
  CO_TRY_ASSIGN(const UniqueFd scratch, OpenFile(scratch_.path(), O_PATH | O_DIRECTORY));
  const std::vector<int> fds = {data.second.get(), control.second.get(), scratch.get()};
  const pid_t pid = Spawn("hybridserve-executor-" + spec.engine, arguments, fds, -1);
  if (pid < 0) co_return Fail(Code::kInternal, "cannot start the executor");
  last_pid_ = pid;
  ++started_;
  StartedExecutor started;
  started.id = ExecutorId{static_cast<uint64_t>(started_)};
  started.pid = pid;
  started.data = std::move(data.first);
  started.control = std::move(control.first);
  running_[started.id.value] = pid;
  co_return started;
}

Awaitable<> SpawningHost::KillExecutor(ExecutorId id) {
  const auto found = running_.find(id.value);
  if (found == running_.end()) co_return Fail(Code::kNotFound, "no such executor");
  KillAndReap(found->second);
  running_.erase(found);
  co_return Result<>();
}

Awaitable<JobResult> SpawningHost::RunJob(JobSpec spec, std::vector<int> fds) {
  if (spec.arguments.at(0) == "compile") ++compiled_;
  co_return RunProgram(spec.program, spec.arguments, fds);
}

Awaitable<UniqueFd> SpawningHost::OpenFolder(ExecutorId /*executor*/, std::string path,
                                             bool /*writable*/) {
  // As the launcher's detached mounts are: good for reaching files, not for reading itself.
  co_return OpenFile(path, O_PATH | O_DIRECTORY);
}

JobResult RunProgram(const std::string& program, const std::vector<std::string>& arguments,
                     const std::vector<int>& fds) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return {.exit_status = 125};
  const UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  std::vector<std::string> words = LockdownArguments();
  words.insert(words.end(), arguments.begin(), arguments.end());
  const pid_t pid = Spawn(program, words, fds, write_end.get());
  write_end.Reset();
  JobResult result;
  if (pid < 0) return {.exit_status = 125};
  char buffer[4096];
  ssize_t got = 0;
  while ((got = ::read(read_end.get(), buffer, sizeof(buffer))) > 0) {
    result.output.append(buffer, static_cast<size_t>(got));
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  result.exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

}  // namespace hybridserve
