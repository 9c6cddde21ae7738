#include "launcher/agent_process.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <array>

#include "base/file.h"
#include "base/log.h"
#include "ipc/seqpacket.h"
#include "launcher/programs.h"

namespace hybridserve::launcher {
namespace {

constexpr char kAgentProgram[] = "hybridserve-agent";
constexpr int kExecFailed = 126;
// Removing what a daemon holds takes it 25 ms each.
constexpr int kCloseMilliseconds = 2000;

// In the child: descriptor 3 is the socket, 1 and 2 the log.
Result<> RunAgent(const std::vector<std::string>& command, int socket, int other, int output) {
  ::close(other);
  if (::setsid() < 0) return FailErrno("setsid");
  if (::dup2(output, 1) < 0 || ::dup2(output, 2) < 0) return FailErrno("dup2");
  TRY(sandbox::DieWithParent(socket));
  const std::array<int, 1> fds{socket};
  TRY(sandbox::ArrangeDescriptors(fds, socket));
  std::vector<char*> argv;
  for (const std::string& argument : command) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  ::execv(argv[0], argv.data());
  return FailErrno("run " + command[0]);
}

}  // namespace

std::vector<std::string> AgentProcess::Command() const {
  return {ProgramFolder() / kAgentProgram,
          std::string(ContainerRuntimeName(options_.runtime.kind)),
          "--node",
          options_.node,
          "--folder",
          options_.folder,
          "--images",
          options_.images,
          "--runtime",
          options_.runtime.address,
          "--held",
          std::to_string(options_.held),
          "--log-level",
          options_.log_level};
}

Result<UniqueFd> AgentProcess::Start() {
  if (options_.runtime.address.empty()) {
    return Fail(Code::kUnsupported, "no agent makes this node's containers");
  }
  End();
  TRY(OpenProgram(kAgentProgram));  // Says what to do when it is missing.
  TRY(MakeFolder(options_.folder, 0700));
  TRY_ASSIGN(auto sockets, ipc::MakePair());
  TRY_ASSIGN(auto output, MakeOutputPipe());
  const int theirs = sockets.second.get();
  const int ours = sockets.first.get();
  const int log = output.second.get();
  const std::vector<std::string> command = Command();
  TRY_ASSIGN(child_, sandbox::Clone({}, [&command, theirs, ours, log] {
               const auto ran = RunAgent(command, theirs, ours, log);
               (void)WriteAll(2, "hybridserve-launcher: " + ran.error().message + "\n");
               return kExecFailed;
             }));
  log_ = std::make_unique<LineLog>(loop_, std::move(output.first), "agent");
  TRY(loop_.Watch(child_.pidfd.get(), EventLoop::Interest::kRead, [this] { OnEnd(); }));
  return std::move(sockets.first);
}

void AgentProcess::OnEnd() {
  loop_.Forget(child_.pidfd.get());
  const int status = sandbox::Reap(child_);
  child_ = {};
  log_->Flush();
  log_.reset();
  spdlog::warn("the agent of {} ended with status {}",
               ContainerRuntimeName(options_.runtime.kind), status);
}

void AgentProcess::End() {
  if (!child_) return;
  loop_.Forget(child_.pidfd.get());
  // It ends by itself: its server is gone, or has just closed its socket.
  pollfd ended{child_.pidfd.get(), POLLIN, 0};
  if (::poll(&ended, 1, kCloseMilliseconds) == 0) sandbox::Kill(child_);
  sandbox::Reap(child_);
  child_ = {};
  log_.reset();
}

}  // namespace hybridserve::launcher
