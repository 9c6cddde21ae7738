#include "container/init/children.h"

#include <signal.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

namespace hybridserve::init {
namespace {

/// posix_spawn's two objects, released together.
struct SpawnSetup {
  posix_spawn_file_actions_t actions{};
  posix_spawnattr_t attributes{};
  SpawnSetup() {
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
  }
  SpawnSetup(const SpawnSetup&) = delete;
  SpawnSetup& operator=(const SpawnSetup&) = delete;
  ~SpawnSetup() {
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
  }
};

std::vector<char*> Pointers(const std::vector<std::string>& words) {
  std::vector<char*> pointers;
  pointers.reserve(words.size() + 1);
  for (const std::string& word : words) pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

Child::~Child() {
  if (owner_ == nullptr) return;
  Kill();
  const std::lock_guard lock(owner_->mutex_);
  const auto found = owner_->running_.find(pid_);
  if (found != owner_->running_.end() && found->second == this) owner_->running_.erase(found);
}

void Child::Kill() const {
  // The group's number stays taken while any process of it lives, also after the first has ended.
  if (pid_ > 0) kill(-pid_, SIGKILL);
}

Result<std::unique_ptr<Child>> Children::Spawn(const std::vector<std::string>& argv,
                                               const std::vector<std::string>& environment,
                                               int input, int output) {
  auto child = std::make_unique<Child>();
  child->ended_.Reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!child->ended_) return FailErrno("eventfd");

  SpawnSetup setup;
  posix_spawn_file_actions_adddup2(&setup.actions, input, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&setup.actions, output, STDOUT_FILENO);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&setup.attributes, &none);
  posix_spawnattr_setsigdefault(&setup.attributes, &all);
  posix_spawnattr_setpgroup(&setup.attributes, 0);
  posix_spawnattr_setflags(&setup.attributes,
                           POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  const std::vector<char*> arguments = Pointers(argv);
  const std::vector<char*> variables = Pointers(environment);

  // Held across the start: a process that ends at once is not reaped before it is known.
  const std::lock_guard lock(mutex_);
  const int error = posix_spawnp(&child->pid_, argv[0].c_str(), &setup.actions, &setup.attributes,
                                 arguments.data(), variables.data());
  if (error != 0) {
    const Code code = error == EAGAIN || error == ENOMEM ? Code::kInternal : Code::kInvalidArgument;
    return Fail(code, "cannot start " + argv[0] + ": " + std::strerror(error));
  }
  child->owner_ = this;
  running_[child->pid_] = child.get();
  return child;
}

void Children::Reap() {
  while (true) {
    int status = 0;
    const pid_t pid = waitpid(-1, &status, WNOHANG);
    if (pid <= 0) return;
    const std::lock_guard lock(mutex_);
    const auto found = running_.find(pid);
    if (found == running_.end()) continue;
    Child& child = *found->second;
    running_.erase(found);
    child.wait_status_ = status;
    const uint64_t one = 1;
    (void)!write(child.ended_.get(), &one, sizeof(one));
  }
}

}  // namespace hybridserve::init
