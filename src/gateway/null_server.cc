// The gateway and the router alone, with a Wasm backend that answers at once: what they cost, as
// `wrk` sees it. Usage: hybridserve-null-server [PORT]; serves /function/null until it is killed.
#include <boost/asio/io_context.hpp>
#include <cstdio>
#include <cstdlib>

#include "gateway/gateway.h"

namespace hybridserve {
namespace {

class NullBackend : public WasmBackend {
 public:
  [[nodiscard]] uint32_t slots() const override { return 32; }
  Awaitable<> Prepare(DeployedPtr /*function*/) override { co_return Result<>(); }
  Awaitable<WasmResult> Invoke(WasmInvocation /*invocation*/) override {
    WasmResult result;
    result.head.headers.push_back({"Content-Type", "text/plain"});
    result.bytes = "hello\n";
    result.start = Microseconds(20);
    result.run = Microseconds(30);
    co_return result;
  }
  void Unload(const Deployed& /*function*/) override {}
  [[nodiscard]] bool IsLoaded(const Deployed& /*function*/) const override { return true; }
};

int Main(int argc, char** argv) {
  boost::asio::io_context loop(1);
  Metrics metrics;
  NullBackend backend;
  Router router(loop.get_executor(), {}, &backend, nullptr, metrics);
  auto function = std::make_shared<Deployed>();
  function->manifest.name = FunctionName{"null"};
  function->module = Digest{"null"};
  router.Deploy(function);
  Gateway gateway(loop.get_executor(), {}, router, metrics);
  const auto port = static_cast<uint16_t>(argc > 1 ? std::atoi(argv[1]) : 0);
  const Result<> listening = gateway.Listen({"127.0.0.1", port});
  if (!listening) {
    std::fprintf(stderr, "%s\n", listening.error().message.c_str());
    return ExitCode(listening.error().code);
  }
  std::printf("http://127.0.0.1:%d/function/null\n", gateway.port());
  std::fflush(stdout);
  loop.run();
  return 0;
}

}  // namespace
}  // namespace hybridserve

int main(int argc, char** argv) { return hybridserve::Main(argc, argv); }
