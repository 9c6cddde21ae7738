// executor-bench MODULE.wasm: what an invocation costs, from an engine in this process up to the
// pool of executors and a real executor. Each answer is checked; medians and 99th percentiles in
// microseconds, after a warm-up.
#include <fcntl.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "base/digest.h"
#include "base/file.h"
#include "executors/tests/spawning_host.h"
#include "executors/wasmtime/wasmtime_engine.h"
#include "wasm/executor_pool.h"

namespace hybridserve {
namespace {

namespace asio = boost::asio;

constexpr int kWarmUp = 2000;
constexpr int kRounds = 20000;
constexpr int kColdRounds = 500;
constexpr int kInFlight = 32;
constexpr uint64_t kMemoryBytes = 128u << 20;

[[noreturn]] void Die(const std::string& why) {
  (void)std::fprintf(stderr, "executor-bench: %s\n", why.c_str());
  std::exit(1);
}

template <typename T>
T Must(Result<T> result) {
  if (!result) Die(result.error().message);
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

void Report(const char* name, std::vector<double> samples) {
  std::sort(samples.begin(), samples.end());
  const size_t n = samples.size();
  std::printf("%-44s p50 %8.1f us   p99 %8.1f us\n", name, samples[n / 2], samples[n * 99 / 100]);
}

double Microseconds1(SteadyClock::duration time) {
  return std::chrono::duration<double, std::micro>(time).count();
}

// One guest after another in this process.
class InProcess {
 public:
  explicit InProcess(const std::string& wasm)
      : engine_(Must(MakeWasmtimeEngine({.compiler = "cranelift", .threads = kInFlight}))),
        watchdog_(kInFlight, [this] { engine_->Interrupt(); }),
        code_(Must(SealedMemfd("code", Must(engine_->Compile(wasm))))) {}

  std::unique_ptr<Module> Load() {
    return Must(engine_->Load(UniqueFd(::fcntl(code_.get(), F_DUPFD_CLOEXEC, 0)), kMemoryBytes));
  }
  RunResult Run(Module& module, wasi::Wasi& wasi) {
    static std::atomic<uint64_t> ids{0};
    static const std::string variables("REQUEST_METHOD=POST\0CONTENT_LENGTH=5\0", 37);
    wasi.guard().Begin(++ids, SteadyClock::now() + std::chrono::seconds(30));
    wasi.Begin(
        {.request_variables = {variables, 2}, .body = "abcde", .output_limit_bytes = 1 << 20});
    RunResult result = module.Run(wasi);
    wasi.guard().End();
    wasi.End();
    if (result.kind != OutcomeKind::kDone) Die("the guest failed: " + result.message);
    return result;
  }
  Watchdog& watchdog() { return watchdog_; }

 private:
  std::unique_ptr<Engine> engine_;
  Watchdog watchdog_;
  UniqueFd code_;
};

void BenchInProcess(const std::string& wasm) {
  InProcess bench(wasm);
  wasi::Wasi wasi(bench.watchdog().guard(0));
  std::vector<double> load;
  std::vector<double> cold;
  for (int i = 0; i < kColdRounds; ++i) {
    const auto began = SteadyClock::now();
    const auto module = bench.Load();
    const auto loaded = SteadyClock::now();
    (void)bench.Run(*module, wasi);
    load.push_back(Microseconds1(loaded - began));
    cold.push_back(Microseconds1(SteadyClock::now() - began));
  }
  Report("in process: map the native code", load);
  Report("in process: map, instantiate, run", cold);
  const auto module = bench.Load();
  std::vector<double> whole;
  for (int i = 0; i < kWarmUp + kRounds; ++i) {
    const auto began = SteadyClock::now();
    (void)bench.Run(*module, wasi);
    if (i >= kWarmUp) whole.push_back(Microseconds1(SteadyClock::now() - began));
  }
  Report("in process: instantiate, run, tear down", whole);
  std::vector<std::thread> threads;
  const auto began = SteadyClock::now();
  for (uint32_t t = 1; t <= 4; ++t) {
    threads.emplace_back([&bench, &module, t] {
      wasi::Wasi own(bench.watchdog().guard(t));
      for (int i = 0; i < kRounds; ++i) (void)bench.Run(*module, own);
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::printf("%-44s %12.0f /s\n", "in process: 4 threads",
              4 * kRounds / (Microseconds1(SteadyClock::now() - began) / 1e6));
}

// Through the pool and a real executor.
class ThroughPool {
 public:
  explicit ThroughPool(std::string wasm) : wasm_(std::move(wasm)) {
    ExecutorPoolOptions options;
    options.threads = kInFlight;
    options.aot_folder = folder_.path() / "aot";
    options.aot_key_file = folder_.path() / "aot.key";
    pool_ = std::make_unique<ExecutorPool>(
        loop_.get_executor(), options, host_,
        [this](const Digest&) { return SealedMemfd("module", wasm_); });
    auto function = std::make_shared<Deployed>();
    function->manifest.name = FunctionName{"bench"};
    function->module = Sha256(wasm_);
    function_ = function;
    head_.method = "POST";
    head_.host = "localhost:8080";
    head_.remote_address = "127.0.0.1";
    head_.script_name = "/function/bench";
    head_.request_id = "0123456789abcdef";
    head_.has_body = true;
    head_.headers = {{"user-agent", "bench"}, {"accept", "*/*"}, {"content-type", "text/plain"}};
  }

  void Sequential(const char* name, int warm_up, int rounds, bool cold) {
    std::vector<double> samples;
    Run(Sequence(samples, warm_up, rounds, cold));
    Report(name, samples);
  }
  // What functions that were used once and unloaded leave behind in the executor.
  void Idle() {
    constexpr int kFunctions = 1000;
    Run(UseOnce(kFunctions));  // Until the allocator's own growth is done.
    const uint64_t before = ResidentBytes(host_.last_pid());
    Run(UseOnce(kFunctions));
    const auto after = static_cast<int64_t>(ResidentBytes(host_.last_pid()));
    std::printf("%-44s %12.0f bytes each; executor %.1f MiB\n", "1,000 more functions, unloaded",
                static_cast<double>(after - static_cast<int64_t>(before)) / kFunctions,
                static_cast<double>(after) / (1 << 20));
  }
  void Saturated() {
    int left = kRounds * 4;
    const auto began = SteadyClock::now();
    for (int i = 0; i < kInFlight; ++i) {
      asio::co_spawn(loop_, Consume(left), asio::detached);
    }
    loop_.restart();
    loop_.run();
    std::printf("%-44s %12.0f /s\n", "through the pool: 32 in flight",
                kRounds * 4 / (Microseconds1(SteadyClock::now() - began) / 1e6));
  }

 private:
  static uint64_t ResidentBytes(pid_t pid) {
    const std::string status = Must(ReadFile("/proc/" + std::to_string(pid) + "/statm"));
    return std::strtoull(status.c_str() + status.find(' '), nullptr, 10) * 4096;
  }
  asio::awaitable<void> UseOnce(int functions) {
    for (int i = 0; i < functions; ++i) {
      const auto function = std::make_shared<Deployed>(*function_);
      co_await One(function);
      pool_->Unload(*function);
    }
    loop_.stop();
  }
  asio::awaitable<void> One(DeployedPtr function) {
    WasmInvocation invocation;
    invocation.function = function;
    invocation.head = &head_;
    invocation.body = "abcde";
    const Result<WasmResult> result = co_await pool_->Invoke(std::move(invocation));
    if (!result) Die(result.error().message);
  }
  asio::awaitable<void> Sequence(std::vector<double>& samples, int warm_up, int rounds, bool cold) {
    for (int i = 0; i < warm_up + rounds; ++i) {
      if (cold) pool_->Unload(*function_);
      const auto began = SteadyClock::now();
      co_await One(function_);
      if (i >= warm_up) samples.push_back(Microseconds1(SteadyClock::now() - began));
    }
    loop_.stop();
  }
  asio::awaitable<void> Consume(int& left) {
    while (left-- > 0) co_await One(function_);
    if (left <= -kInFlight) loop_.stop();
  }
  void Run(asio::awaitable<void> work) {
    asio::co_spawn(loop_, std::move(work), asio::detached);
    loop_.restart();
    loop_.run();
  }

  std::string wasm_;
  TemporaryFolder folder_;
  asio::io_context loop_{1};
  SpawningHost host_;
  std::unique_ptr<ExecutorPool> pool_;
  DeployedPtr function_;
  RequestHead head_;
};

}  // namespace
}  // namespace hybridserve

int main(int argc, char** argv) {
  using namespace hybridserve;
  if (argc != 2) Die("usage: executor-bench MODULE.wasm");
  const std::string wasm = Must(ReadFile(argv[1]));
  BenchInProcess(wasm);
  ThroughPool pool(wasm);
  pool.Sequential("through the pool: loaded", kWarmUp, kRounds, /*cold=*/false);
  pool.Sequential("through the pool: unloaded before each", 10, kColdRounds, /*cold=*/true);
  pool.Idle();
  pool.Saturated();
  return 0;
}
