// hybridserve-launcher: the privileged process of a node; options.h says how it is called. It ends
// with 0 after a stop that was asked for, else with the exit status of what went wrong (ExitCode).
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <string>
#include <vector>

#include "base/log.h"
#include "launcher/node.h"
#include "sandbox/privileges.h"

namespace hybridserve::launcher {
namespace {

// From now on these arrive at the descriptor; children get the defaults back (Clone).
Result<UniqueFd> TakeSignals() {
  std::signal(SIGPIPE, SIG_IGN);
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGCHLD}) sigaddset(&signals, signal);
  if (::sigprocmask(SIG_BLOCK, &signals, nullptr) != 0) return FailErrno("block signals");
  UniqueFd fd(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) return FailErrno("signalfd");
  return fd;
}

Result<int> RunNode(Options options) {
  TRY_ASSIGN(const User user, FindServerUser(options.user));
  TRY_ASSIGN(UniqueFd signals, TakeSignals());
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) return FailErrno("become a subreaper");
  TRY_ASSIGN(StateFolder state, StateFolder::Open(options.state_folder, user));
  TRY_ASSIGN(Host host,
             ExamineHost(state, options.containers, options.runtime_address));
  TRY_ASSIGN(const auto loop, EventLoop::Open());
  Node node(*loop, std::move(options), std::move(state), std::move(host), user, std::move(signals));
  return node.Run();
}

// Descriptors 0, 1 and 2 are open, so that no socket of ours takes their place.
void OpenStdio() {
  int fd = 0;
  while (fd >= 0 && fd < 3) fd = ::open("/dev/null", O_RDWR);
  if (fd >= 3) ::close(fd);
}

}  // namespace
}  // namespace hybridserve::launcher

int main(int argc, char** argv) {
  namespace hs = hybridserve;
  hs::launcher::OpenStdio();
  const std::vector<std::string> arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
  auto options = hs::launcher::ParseOptions(arguments);
  if (!options) {
    std::fprintf(stderr, "hybridserve-launcher: %s\n", options.error().message.c_str());
    return hs::ExitCode(options.error().code);
  }
  hs::InitLog("launcher", options->log_level);
  hs::sandbox::AllowManyDescriptors();  // Each container is about a dozen.
  const auto status = hs::launcher::RunNode(std::move(*options));
  if (!status) {
    std::fprintf(stderr, "hybridserve: %s\n", status.error().message.c_str());
    return hs::ExitCode(status.error().code);
  }
  return *status;
}
