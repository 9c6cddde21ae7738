// hybridserve-agent: stands between the server and a container runtime of the operator's.
//
//   hybridserve-agent KIND --node TAG --folder DIR --images DIR --runtime PATH [--held N]
//       [--log-level LEVEL]
//
// Descriptor 3 is the socket to the server; the program ends when that closes. What it makes stays,
// and is found again by the next one. Exit status: ExitCode of what went wrong.
#include <signal.h>
#include <sys/prctl.h>

#include <CLI/CLI.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstdio>
#include <memory>

#include "base/log.h"
#include "container/agent/agent.h"
#include "container/agent/runtime_hosts.h"
#include "sandbox/privileges.h"

namespace hybridserve {
namespace {

namespace asio = boost::asio;

constexpr int kServerSocket = 3;
constexpr std::chrono::seconds kOpenAgain{1};

struct Options {
  std::string kind;
  RuntimeHostOptions host;
  std::string log_level = "info";
};

void AddOptions(CLI::App& app, Options& options) {
  app.add_option("kind", options.kind)->required();
  app.add_option("--node", options.host.node)->required();
  app.add_option("--folder", options.host.folder)->required();
  app.add_option("--images", options.host.images)->required();
  app.add_option("--runtime", options.host.runtime)->required();
  app.add_option("--held", options.host.held)->check(CLI::Range(0, 16));
  app.add_option("--log-level", options.log_level);
}

// A daemon that is away now may come: calls fail until it is there.
asio::awaitable<void> OpenHost(asio::io_context& loop, RuntimeHost& host) {
  asio::steady_timer pause(loop);
  bool warned = false;
  for (;;) {
    const Result<std::string> opened = co_await host.Open();
    if (opened) {
      spdlog::info("containers by {}", *opened);
      co_return;
    }
    if (!std::exchange(warned, true)) spdlog::warn("{}; trying again", opened.error().message);
    pause.expires_after(kOpenAgain);
    co_await pause.async_wait(asio::use_awaitable);
  }
}

asio::awaitable<void> CloseHost(asio::io_context& loop, RuntimeHost& host) {
  const Result<> closed = co_await host.Close();
  if (!closed) spdlog::warn("what was held is left over: {}", closed.error().message);
  loop.stop();
}

Result<> Run(Options options) {
  TRY_ASSIGN(const ContainerRuntimeKind kind, ParseContainerRuntime(options.kind));
  asio::io_context loop(1);
  TRY_ASSIGN(const std::unique_ptr<RuntimeHost> host,
             MakeRuntimeHost(loop.get_executor(), kind, std::move(options.host)));
  const auto on_gone = [&loop, &host] {
    asio::co_spawn(loop, CloseHost(loop, *host), asio::detached);
  };
  const Agent agent(loop.get_executor(), UniqueFd(kServerSocket), *host, on_gone);
  asio::co_spawn(loop, OpenHost(loop, *host), asio::detached);
  loop.run();
  return {};
}

}  // namespace
}  // namespace hybridserve

int main(int argc, char** argv) {
  namespace hs = hybridserve;
  hs::Options options;
  CLI::App app("Holds the containers of a HybridServe node in a runtime of the operator's");
  hs::AddOptions(app, options);
  CLI11_PARSE(app, argc, argv);
  hs::InitLog("agent", options.log_level);
  ::signal(SIGPIPE, SIG_IGN);
  // Processes that a runtime's program leaves behind become this one's to reap.
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  hs::sandbox::AllowManyDescriptors();
  const hs::Result<> ran = hs::Run(std::move(options));
  if (ran) return 0;
  std::fprintf(stderr, "hybridserve-agent: %s\n", ran.error().message.c_str());
  return hs::ExitCode(ran.error().code);
}
