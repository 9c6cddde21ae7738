#include "launcher/server_process.h"

#include <linux/capability.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "base/file.h"
#include "base/log.h"
#include "ipc/seqpacket.h"
#include "launcher/protocol.h"
#include "sandbox/privileges.h"

namespace hybridserve::launcher {
namespace {

constexpr int kServerSocket = 3;
constexpr int kExecFailed = 126;
constexpr int kMaxSilentCrashes = 5;
constexpr std::chrono::milliseconds kFirstDelay{100};
constexpr std::chrono::milliseconds kLastDelay{10'000};

// Statuses that a new start would only repeat; see ExitCode().
bool EndsNode(int status) {
  constexpr std::array<int, 8> kFinal{0, 2, 3, 4, 5, 6, 10, kExecFailed};
  return std::find(kFinal.begin(), kFinal.end(), status) != kFinal.end();
}

Result<> GiveUpRoot(const User& user) {
  if (::geteuid() == 0) {
    TRY(sandbox::KeepOnlyCapabilities(sandbox::CapabilitySet({CAP_SETUID, CAP_SETGID})));
    TRY(sandbox::BecomeUser(user.uid, user.gid, sandbox::Groups::kClear));
  }
  TRY(sandbox::DropAllCapabilities());
  return sandbox::SetNoNewPrivileges();
}

Result<> RunServer(const std::vector<std::string>& command, const User& user, int socket,
                   int other) {
  ::close(other);
  // Out of the terminal's foreground group: a Ctrl-C reaches it once, through the launcher.
  if (::setsid() < 0) return FailErrno("setsid");
  TRY(GiveUpRoot(user));
  TRY(sandbox::DieWithParent(socket));
  const std::array<int, 1> fds{socket};
  TRY(sandbox::ArrangeDescriptors(fds, socket));
  if (::setenv(kSocketVariable, std::to_string(kServerSocket).c_str(), 1) != 0) {
    return FailErrno("setenv");
  }
  std::vector<char*> argv;
  for (const std::string& argument : command) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  ::execv(argv[0], argv.data());
  return FailErrno("run the server " + command[0]);
}

}  // namespace

ServerProcess::~ServerProcess() {
  loop_.Cancel(restart_);
  if (!child_) return;
  loop_.Forget(child_.pidfd.get());
  sandbox::Kill(child_);
  sandbox::Reap(child_);
}

Result<> ServerProcess::Start() {
  TRY_ASSIGN(auto sockets, ipc::MakePair());
  const int theirs = sockets.second.get();
  const int ours = sockets.first.get();
  TRY_ASSIGN(child_, sandbox::Clone({}, [&] {
               const auto ran = RunServer(command_, user_, theirs, ours);
               (void)WriteAll(2, "hybridserve-launcher: " + ran.error().message + "\n");
               return kExecFailed;
             }));
  said_hello_ = false;
  ready_ = false;
  TRY(loop_.Watch(child_.pidfd.get(), EventLoop::Interest::kRead, [this] { OnExit(); }));
  events_.started(std::move(sockets.first));
  return {};
}

void ServerProcess::Stop(int signal) {
  const bool again = stopping_;
  stopping_ = true;
  if (child_) return sandbox::Kill(child_, again ? SIGKILL : signal);
  loop_.Cancel(restart_);
  events_.ended(0);
}

void ServerProcess::OnExit() {
  loop_.Forget(child_.pidfd.get());
  const int status = sandbox::Reap(child_);
  child_ = {};
  if (stopping_ || EndsNode(status)) return events_.ended(status == kExecFailed ? 1 : status);
  silent_crashes_ = said_hello_ ? 0 : silent_crashes_ + 1;
  if (silent_crashes_ == kMaxSilentCrashes) {
    spdlog::error("the server failed to start {} times; giving up", kMaxSilentCrashes);
    return events_.ended(status);
  }
  delay_ = ready_ ? delay_.zero() : std::clamp(delay_ * 2, kFirstDelay, kLastDelay);
  spdlog::error("the server ended with status {}; starting it again in {} ms", status,
                delay_.count());
  events_.crashed();
  restart_ = loop_.After(delay_, [this] { StartAgain(); });
}

void ServerProcess::StartAgain() {
  if (const auto started = Start(); !started) {
    spdlog::error("cannot start the server again: {}", started.error().message);
    events_.ended(ExitCode(started.error().code));
  }
}

}  // namespace hybridserve::launcher
