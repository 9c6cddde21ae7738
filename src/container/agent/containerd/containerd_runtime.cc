#include "container/agent/containerd/containerd_runtime.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <utility>

#include "base/file.h"

namespace hybridserve {
namespace {

constexpr char kNamespace[] = "hybridserve";

// The process that listens on the socket.
Result<pid_t> DaemonOf(const std::filesystem::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string& text = path.native();
  if (text.size() >= sizeof address.sun_path) {
    return Fail(Code::kInvalidArgument, "the socket's path is too long: " + text);
  }
  text.copy(address.sun_path, text.size());
  const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) return FailErrno("socket");
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return Fail(Code::kUnavailable, "cannot reach containerd at " + text + ": " +
                                        FailErrno("connect").value().message +
                                        "; is it running?");
  }
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    return FailErrno("ask who listens on " + text);
  }
  return peer.pid;
}

bool SameFile(const char* a, const std::string& b) {
  struct stat one {};
  struct stat other {};
  return ::stat(a, &one) == 0 && ::stat(b.c_str(), &other) == 0 && one.st_ino == other.st_ino;
}

Result<> JoinMountsOf(pid_t pid) {
  const std::string path = "/proc/" + std::to_string(pid) + "/ns/mnt";
  if (SameFile("/proc/self/ns/mnt", path)) return {};
  TRY_ASSIGN(const UniqueFd theirs, OpenFile(path, O_RDONLY));
  // Its root may be a folder of them.
  TRY_ASSIGN(const UniqueFd root,
             OpenFile("/proc/" + std::to_string(pid) + "/root", O_PATH | O_DIRECTORY));
  (void)ProgramFolder();  // Known by its path as it is now.
  if (::setns(theirs.get(), CLONE_NEWNS) != 0 || ::fchdir(root.get()) != 0 || ::chroot(".") != 0 ||
      ::chdir("/") != 0) {
    return FailErrno("join the mounts of containerd, process " + std::to_string(pid));
  }
  return {};
}

}  // namespace

ContainerdRuntime::ContainerdRuntime(boost::asio::any_io_executor executor,
                                     std::filesystem::path socket)
    : executor_(std::move(executor)), socket_(std::move(socket)) {}

Awaitable<std::string> ContainerdRuntime::Open() {
  if (!joined_) {
    CO_TRY_ASSIGN(const pid_t daemon, DaemonOf(socket_));
    CO_TRY(JoinMountsOf(daemon));
    joined_ = true;
    client_.emplace(executor_, socket_, kNamespace);
  }
  CO_TRY_ASSIGN(const std::string version, co_await client_->Version());
  CO_TRY(co_await client_->MakeNamespace());
  co_return "containerd " + version;
}

Awaitable<std::vector<std::string>> ContainerdRuntime::List(std::string prefix) {
  CO_TRY_ASSIGN(const std::vector<ContainerdContainer> all, co_await client_->ListContainers());
  std::vector<std::string> names;
  for (const ContainerdContainer& one : all) {
    if (one.id.starts_with(prefix)) names.push_back(one.id);
  }
  co_return names;
}

Awaitable<pid_t> ContainerdRuntime::Create(Bundle bundle) {
  CO_TRY_ASSIGN(std::string spec, ReadFile(bundle.folder / "config.json"));
  ContainerdContainer container{bundle.name, {{"hybridserve.folder", bundle.folder}}};
  CO_TRY(co_await client_->CreateContainer(std::move(container), std::move(spec)));
  Result<pid_t> made = co_await client_->CreateTask(bundle.name, bundle.log);
  co_return made;
}

Awaitable<> ContainerdRuntime::Start(std::string name) {
  Result<> started = co_await client_->StartTask(std::move(name));
  co_return started;
}

// Its shim's child: nobody else's to reap.
Awaitable<int> ContainerdRuntime::ExitStatus(std::string name, int /*pidfd*/) {
  Result<int> status = co_await client_->WaitForTask(std::move(name));
  co_return status.value_or(255);
}

Awaitable<> ContainerdRuntime::Delete(std::string name) {
  Result<> task = co_await client_->DeleteTask(name);
  if (!task && task.error().code == Code::kConflict) {
    (void)co_await client_->KillTask(name);
    (void)co_await client_->WaitForTask(name);
    task = co_await client_->DeleteTask(name);
  }
  if (!task && task.error().code != Code::kNotFound) co_return task;
  Result<> container = co_await client_->DeleteContainer(std::move(name));
  if (!container && container.error().code != Code::kNotFound) co_return container;
  co_return Result<>{};
}

}  // namespace hybridserve
