#include "container/agent/oci/oci_runtime.h"

#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <charconv>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/file.h"
#include "container/agent/bundle/runtime_error.h"
#include "container/agent/wait_for_exit.h"
#include "sandbox/mounts.h"

namespace hybridserve {
namespace {

namespace asio = boost::asio;
namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr char kUnifiedTree[] = "/sys/fs/cgroup/unified";
constexpr uint64_t kNothingBytes = 4 << 20;
constexpr uint64_t kNothingInodes = 16384;
constexpr char kFifo[] = "exec.fifo";

// The child's id. Its standard input is empty; both outputs go to `output`.
Result<pid_t> Spawn(const std::vector<std::string>& arguments, int output) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
  std::vector<char*> words;
  for (const std::string& word : arguments) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  pid_t pid = -1;
  const int error = ::posix_spawn(&pid, words[0], &actions, nullptr, words.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return FailErrno("run " + arguments[0], error);
  return pid;
}

int StatusOf(const siginfo_t& info) {
  return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
}

// Of a child that has ended; 255: it is not this process's.
int Reap(int pidfd) {
  siginfo_t info{};
  while (::waitid(P_PIDFD, static_cast<id_t>(pidfd), &info, WEXITED) != 0) {
    if (errno != EINTR) return 255;
  }
  return StatusOf(info);
}

// The last message of a log in the runtimes' JSON format.
std::string LastMessage(const fs::path& log) {
  std::string message;
  const std::string text = ReadFile(log, 1 << 20).value_or("");
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const Json line = Json::parse(text.substr(at, end - at), nullptr, false);
    if (line.is_object() && line.contains("msg") && line["msg"].is_string()) message = line["msg"];
    at = end + 1;
  }
  return message;
}

}  // namespace

Awaitable<std::string> OciRuntime::Open() {
  if (!own_mounts_) {
    (void)ProgramFolder();  // Known by its path as it is now.
    if (::unshare(CLONE_NEWNS) != 0) co_return FailErrno("make a mount namespace");
    CO_TRY(sandbox::MakeMountsPrivate());
    if (program_ == Program::kCrun && ::umount2(kUnifiedTree, MNT_DETACH) == 0) {
      // crun makes plain folders in place of the tree that it does not see.
      CO_TRY(sandbox::MountTmpfs(kUnifiedTree, kNothingBytes, kNothingInodes, 0));
      hides_unified_ = true;
    }
    own_mounts_ = true;
  }
  CO_TRY(MakeFolder(state_, 0700));
  const UniqueFd output(::memfd_create("version", MFD_CLOEXEC));
  if (!output) co_return FailErrno("memfd_create");
  std::vector<std::string> arguments = {path_, "--version"};
  CO_TRY_ASSIGN(const int status, co_await Run(std::move(arguments), output.get()));
  std::string text(256, '\0');
  const ssize_t size = ::pread(output.get(), text.data(), text.size(), 0);
  text.resize(size > 0 ? static_cast<size_t>(size) : 0);
  text = text.substr(0, text.find('\n'));
  if (status != 0 || text.empty()) {
    co_return Fail(Code::kUnsupported, path_.string() + " --version ended with status " +
                                           std::to_string(status) + ": " + text);
  }
  if (const size_t word = text.find(" version "); word != std::string::npos) {
    text.erase(word, std::string_view(" version").size());
  }
  co_return text;
}

Awaitable<std::vector<std::string>> OciRuntime::List(std::string prefix) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& one : fs::directory_iterator(state_, error)) {
    std::string name = one.path().filename();
    if (name.starts_with(prefix)) names.push_back(std::move(name));
  }
  co_return names;
}

Awaitable<int> OciRuntime::Run(std::vector<std::string> arguments, int output) {
  CO_TRY_ASSIGN(const pid_t pid, Spawn(arguments, output));
  const UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!pidfd) co_return FailErrno("open the process of " + arguments[0]);
  co_await WaitForExit(executor_, pidfd.get());
  co_return Reap(pidfd.get());
}

Awaitable<> OciRuntime::RunWell(std::vector<std::string> arguments, int output, fs::path errors) {
  std::vector<std::string> all = {path_,    "--root",       state_, "--log",
                                  errors, "--log-format", "json"};
  const std::string verb = arguments[0];
  (void)::unlink(errors.c_str());
  for (std::string& word : arguments) all.push_back(std::move(word));
  CO_TRY_ASSIGN(const int status, co_await Run(std::move(all), output));
  if (status == 0) co_return Result<>{};
  const std::string message = LastMessage(errors);
  co_return Fail(CodeOfRuntimeError(message),
                 path_.filename().string() + " " + verb + " ended with status " +
                     std::to_string(status) + ": " + message);
}

Awaitable<pid_t> OciRuntime::Create(Bundle bundle) {
  // For reading, too: the container's writes never meet a pipe that nobody reads.
  CO_TRY_ASSIGN(const UniqueFd log, OpenFile(bundle.log, O_RDWR));
  const fs::path pid_file = bundle.folder / "pid";
  std::vector<std::string> arguments = {"create",     "--bundle", bundle.folder,
                                        "--pid-file", pid_file,   bundle.name};
  fs::path errors = bundle.folder / "error";
  CO_TRY(co_await RunWell(std::move(arguments), log.get(), std::move(errors)));
  CO_TRY_ASSIGN(const std::string text, ReadFile(pid_file, 64));
  pid_t pid = 0;
  const auto [end, bad] = std::from_chars(text.data(), text.data() + text.size(), pid);
  if (bad != std::errc() || pid <= 0) {
    co_return Fail(Code::kInternal, path_.filename().string() + " gave no process id: " + text);
  }
  co_return pid;
}

Awaitable<> OciRuntime::Start(std::string name) {
  fs::path fifo = state_ / name / kFifo;
  if (program_ == Program::kCrun) co_return WriteFifo(name, fifo);
  Result<> started = co_await ReadFifo(std::move(fifo));
  co_return started;
}

// runc's waits until somebody reads what it writes.
Awaitable<> OciRuntime::ReadFifo(fs::path fifo) {
  CO_TRY_ASSIGN(UniqueFd end, OpenFile(fifo, O_RDONLY | O_NONBLOCK));
  asio::posix::stream_descriptor pipe(executor_, end.Release());
  // A read before it has opened its end would find none.
  co_await pipe.async_wait(asio::posix::stream_descriptor::wait_read, kTuple);
  char byte = 0;
  if (::read(pipe.native_handle(), &byte, 1) != 1) {
    co_return Fail(Code::kInternal, "the container's first process ended before its program ran");
  }
  (void)::unlink(fifo.c_str());  // What tells the runtime that it runs.
  co_return Result<>{};
}

// crun's waits until it can read.
Result<> OciRuntime::WriteFifo(const std::string& name, const fs::path& fifo) {
  TRY_ASSIGN(UniqueFd end, OpenFile(fifo, O_RDWR | O_NONBLOCK));
  TRY(WriteAll(end.get(), "0"));
  (void)::unlink(fifo.c_str());
  fifos_[name] = std::move(end);
  return {};
}

Awaitable<int> OciRuntime::ExitStatus(std::string /*name*/, int pidfd) { co_return Reap(pidfd); }

Awaitable<> OciRuntime::Delete(std::string name) {
  fifos_.erase(name);
  std::error_code error;
  if (!fs::exists(state_ / name, error)) co_return Result<>{};
  CO_TRY_ASSIGN(const UniqueFd nothing, OpenFile("/dev/null", O_WRONLY));
  const fs::path errors = state_ / "error";
  std::vector<std::string> arguments = {"delete", name};
  const Result<> deleted = co_await RunWell(std::move(arguments), nothing.get(), errors);
  if (hides_unified_) fs::remove_all(fs::path(kUnifiedTree) / name, error);
  if (deleted || !fs::exists(state_ / name, error)) co_return Result<>{};
  // Its process is not known to have ended: this waits for it.
  std::vector<std::string> by_force = {"delete", "--force", name};
  Result<> forced = co_await RunWell(std::move(by_force), nothing.get(), errors);
  co_return forced;
}

}  // namespace hybridserve
