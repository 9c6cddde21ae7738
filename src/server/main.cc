// hybridserve-server: the unprivileged process. Started by the launcher, never by hand.
#include <sys/prctl.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <optional>
#include <string>

#include "base/log.h"
#include "config/node_config.h"
#include "launcher/protocol.h"
#include "sandbox/privileges.h"
#include "server/node.h"

namespace asio = boost::asio;

namespace hybridserve {
namespace {

Result<UniqueFd> LauncherSocket() {
  const char* text = std::getenv(launcher::kSocketVariable);
  char* end = nullptr;
  const long fd = text != nullptr ? std::strtol(text, &end, 10) : -1;
  if (text == nullptr || end == text || *end != '\0' || fd < 3) {
    return Fail(Code::kInvalidArgument,
                "hybridserve-server is started by the launcher: run `hybridserve serve`");
  }
  ::unsetenv(launcher::kSocketVariable);
  return UniqueFd(static_cast<int>(fd));
}

Result<NodeConfig> Configuration(int argc, char** argv) {
  if (argc != 3 || std::strcmp(argv[1], "--config-json") != 0) {
    return Fail(Code::kInvalidArgument,
                "hybridserve-server takes --config-json JSON: run `hybridserve serve`");
  }
  return NodeConfigFromJson(argv[2]);
}

// The process's exit status, set by whichever ends it.
struct Ending {
  asio::io_context& loop;
  int status = 0;

  void Fail(const Error& error) {
    spdlog::error("{}", error.message);
    status = ExitCode(error.code);
    loop.stop();
  }
};

asio::awaitable<void> Run(Node& node, Ending& ending) {
  auto started = co_await node.Start();
  if (!started) {
    ending.Fail(started.error());
    co_return;
  }
  asio::signal_set signals(co_await asio::this_coro::executor, SIGTERM, SIGINT);
  (void)co_await signals.async_wait(asio::as_tuple(asio::use_awaitable));
  // A second signal ends the process at once.
  signals.clear();
  std::signal(SIGTERM, SIG_DFL);
  std::signal(SIGINT, SIG_DFL);
  spdlog::info("stopping: finishing the requests in flight");
  const Result<> stopped = co_await node.Stop();
  if (!stopped) {
    // What is under way stands on the node, so it ends with the process and not before.
    spdlog::warn("{}", stopped.error().message);
    std::_Exit(EXIT_SUCCESS);
  }
  ending.loop.stop();
}

int Main(int argc, char** argv) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  sandbox::AllowManyDescriptors();  // Connections, and native code that is ready to be mapped.
  std::signal(SIGPIPE, SIG_IGN);
  auto config = Configuration(argc, argv);
  InitLog("server", config ? config->log_level : "info");
  auto socket = LauncherSocket();
  if (!config || !socket) {
    const Error& error = config ? socket.error() : config.error();
    spdlog::error("{}", error.message);
    return ExitCode(error.code);
  }
  asio::io_context loop(1);
  Ending ending{loop};
  {
    Node node(loop.get_executor(), std::move(*config), std::move(*socket),
              [&ending](const Error& error) { ending.Fail(error); });
    asio::co_spawn(loop, Run(node, ending), asio::detached);
    loop.run();
  }
  return ending.status;
}

}  // namespace
}  // namespace hybridserve

int main(int argc, char** argv) { return hybridserve::Main(argc, argv); }
