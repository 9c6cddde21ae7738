#include "launcher/lock_heater.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <utility>
#include <vector>

#include "base/log.h"

namespace hybridserve::launcher {
namespace {

// The state outlasts the last taker by some ten milliseconds.
constexpr int kMoveMilliseconds = 5;

// In the child. `ends` are the groups' files that take whoever writes to them.
int KeepMoving(int longer, const int (&ends)[2]) {
  using Clock = std::chrono::steady_clock;
  auto until = Clock::now() + LockHeater::kPeriod;
  for (size_t turn = 0; Clock::now() < until; ++turn) {
    if (::write(ends[turn % 2], "0", 1) != 1) return 1;
    pollfd asked{longer, POLLIN, 0};
    if (::poll(&asked, 1, kMoveMilliseconds) <= 0) continue;
    char bytes[64];
    if (::read(longer, bytes, sizeof bytes) <= 0) return 0;  // The launcher is gone.
    until = Clock::now() + LockHeater::kPeriod;
  }
  return 0;
}

}  // namespace

LockHeater::~LockHeater() {
  if (!child_) return;
  sandbox::Kill(child_);
  OnEnd();
}

void LockHeater::Heat() {
  if (tree_ == nullptr) return;
  if (child_) {
    (void)!::write(longer_.get(), "+", 1);
    return;
  }
  const Result<> begun = Begin();
  if (begun) return;
  spdlog::info("containers start as slowly as the kernel has them: {}", begun.error().message);
  tree_ = nullptr;
}

Result<> LockHeater::Begin() {
  for (size_t i = 0; i < 2; ++i) {
    TRY_ASSIGN(groups_[i], tree_->Create("heat-" + std::to_string(i)));
    if (groups_[i]->join_fds().empty()) {  // version 2
      (void)groups_[i]->Remove();
      groups_[i].reset();
      tree_ = nullptr;
      return {};
    }
  }
  // One controller is enough: the lock is the same for all.
  const int ends[2] = {groups_[0]->join_fds().back(), groups_[1]->join_fds().back()};
  int pipe_ends[2];
  if (::pipe2(pipe_ends, O_CLOEXEC | O_NONBLOCK) != 0) return FailErrno("make a pipe");
  const UniqueFd asked(pipe_ends[0]);
  longer_.Reset(pipe_ends[1]);
  TRY_ASSIGN(child_, sandbox::Clone({}, [&asked, &ends] {
               const int keep[] = {asked.get(), ends[0], ends[1]};
               sandbox::CloseAllExcept(keep);
               return KeepMoving(asked.get(), ends);
             }));
  return loop_.Watch(child_.pidfd.get(), EventLoop::Interest::kRead, [this] { OnEnd(); });
}

void LockHeater::OnEnd() {
  loop_.Forget(child_.pidfd.get());
  sandbox::Reap(child_);
  child_ = {};
  for (auto& group : groups_) {
    if (group) (void)group->Remove();
    group.reset();
  }
}

}  // namespace hybridserve::launcher
