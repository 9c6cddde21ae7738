#include "executors/common/one_shot.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <barrier>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "base/file.h"
#include "executors/common/one_shot_options.h"
#include "executors/common/watchdog.h"
#include "sandbox/lockdown.h"

namespace hybridserve {
namespace {

using std::chrono::duration_cast;
using std::chrono::microseconds;

constexpr uint64_t kMaxBodyBytes = 4ull << 30;
constexpr uint64_t kMaxModuleBytes = 1ull << 30;
constexpr uint64_t kOutputLimitBytes = 4ull << 30;
constexpr int kTrapStatus = 134;
constexpr int kDeadlineStatus = 124;
constexpr int kOtherStatus = 70;

std::string_view OutcomeName(OutcomeKind kind) {
  switch (kind) {
    case OutcomeKind::kDone:
      return "done";
    case OutcomeKind::kExit:
      return "exit";
    case OutcomeKind::kTrap:
      return "trap";
    case OutcomeKind::kDeadline:
      return "deadline";
    case OutcomeKind::kCancelled:
      return "cancelled";
    case OutcomeKind::kMemoryLimit:
      return "memory-limit";
    case OutcomeKind::kOutputLimit:
      return "output-limit";
    case OutcomeKind::kLoadFailed:
      return "load-failed";
    case OutcomeKind::kInternal:
      return "internal";
  }
  return "internal";
}

int StatusOf(const RunResult& result) {
  switch (result.kind) {
    case OutcomeKind::kDone:
      return 0;
    case OutcomeKind::kExit:
      return static_cast<int>(result.exit_status & 0xff);
    case OutcomeKind::kTrap:
      return kTrapStatus;
    case OutcomeKind::kDeadline:
      return kDeadlineStatus;
    default:
      return kOtherStatus;
  }
}

// Of a microsecond.
uint32_t Tenths(SteadyClock::duration time) {
  return static_cast<uint32_t>(
      std::min<int64_t>(std::chrono::nanoseconds(time).count() / 100, UINT32_MAX));
}

int64_t Us(SteadyClock::duration time) { return duration_cast<microseconds>(time).count(); }

// Strings as a StringBlock has them.
struct Strings {
  explicit Strings(const std::vector<std::string>& list) {
    for (const std::string& text : list) bytes.append(text).push_back('\0');
    count = static_cast<uint32_t>(list.size());
  }
  [[nodiscard]] wasi::StringBlock block() const { return {bytes, count}; }
  std::string bytes;
  uint32_t count = 0;
};

// Everything that needs a path, opened before the jail closes.
struct Opened {
  std::string wasm;
  UniqueFd code;
  UniqueFd report;
  UniqueFd statm;  // /proc/self/statm
  UniqueFd scratch_folder;
  std::string body;
  std::vector<UniqueFd> folder_fds;
  std::vector<wasi::Folder> folders;
};

Result<Opened> Open(const OneShotOptions& options, const TemporaryFolder& scratch) {
  Opened opened;
  TRY_ASSIGN(opened.wasm, ReadFile(options.arguments.front(), kMaxModuleBytes));
  if (!options.code_file.empty()) {
    TRY_ASSIGN(opened.code, OpenFile(options.code_file, O_RDONLY));
  }
  if (!options.report_file.empty()) {
    TRY_ASSIGN(opened.report, OpenFile(options.report_file, O_WRONLY | O_CREAT | O_TRUNC));
  }
  TRY_ASSIGN(opened.statm, OpenFile("/proc/self/statm", O_RDONLY));
  TRY_ASSIGN(opened.scratch_folder, OpenFile(scratch.path(), O_RDONLY | O_DIRECTORY));
  if (options.own_wasi) return opened;
  TRY_ASSIGN(opened.body, ReadOpenFile(0, "standard input", kMaxBodyBytes));
  for (const OwnWasiRun::Folder& folder : options.folders) {
    TRY_ASSIGN(UniqueFd fd, OpenFile(folder.host, O_PATH | O_DIRECTORY));
    opened.folders.push_back(
        {.fd = fd.get(), .guest_path = folder.guest, .writable = folder.writable});
    opened.folder_fds.push_back(std::move(fd));
  }
  return opened;
}

uint64_t ResidentKiB(int statm) {
  char text[128] = {};
  unsigned long long total = 0;
  unsigned long long resident = 0;
  if (::pread(statm, text, sizeof(text) - 1, 0) <= 0) return 0;
  if (std::sscanf(text, "%llu %llu", &total, &resident) != 2) return 0;
  return resident * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE)) / 1024;
}

// Times of all invocations of a run.
struct Measured {
  RunResult last;  // Or the first that failed.
  uint32_t failed = 0;
  int64_t compile_us = 0;
  int64_t load_us = 0;
  std::vector<uint32_t> request_us_tenths;
  std::vector<uint32_t> instantiate_us_tenths;
  uint64_t resident_start_kib = 0;  // After a hundredth of the runs.
  uint64_t resident_end_kib = 0;
  uint32_t at_once = 1;
};

class OneShot {
 public:
  OneShot(const EngineProgram& program, const OneShotOptions& options, Opened opened)
      : program_(program),
        options_(options),
        opened_(std::move(opened)),
        arguments_(options.arguments),
        environment_(options.environment) {}

  Result<int> Run() {
    const EngineOptions engine_options{.compiler = options_.compiler,
                                       .threads = options_.concurrent,
                                       .cache_folder = options_.cache_folder,
                                       .scratch_folder = opened_.scratch_folder.get()};
    if (options_.own_wasi) {
      TRY(RunOwn(engine_options));
      return Report();
    }
    TRY_ASSIGN(engine_, program_.make(engine_options));
    const bool paths = options_.mode == Mode::kJitCache;
    if (options_.lockdown && !paths) TRY(sandbox::Lockdown(sandbox::Profile::kExecutor));
    TRY_ASSIGN(module_, Load());
    watchdog_ = std::make_unique<Watchdog>(options_.concurrent, [this] { engine_->Interrupt(); });
    if (options_.concurrent > 1) {
      RunAtOnce();
      return Report();
    }
    RunInTurn();
    TRY(Print());
    return Report();
  }

 private:
  Result<UniqueFd> Code() {
    if (opened_.code) return std::move(opened_.code);
    const auto began = SteadyClock::now();
    TRY_ASSIGN(const std::string code, engine_->Compile(opened_.wasm));
    measured_.compile_us = Us(SteadyClock::now() - began);
    return SealedMemfd("code", code);
  }

  Result<std::unique_ptr<Module>> Load() {
    if (options_.mode != Mode::kAot) {
      const auto began = SteadyClock::now();
      auto module = engine_->LoadWasm(opened_.wasm, options_.memory_limit_bytes);
      measured_.compile_us = Us(SteadyClock::now() - began);
      return module;
    }
    TRY_ASSIGN(UniqueFd code, Code());
    const auto began = SteadyClock::now();
    auto module = engine_->Load(std::move(code), options_.memory_limit_bytes);
    measured_.load_us = Us(SteadyClock::now() - began);
    return module;
  }

  Result<> RunOwn(const EngineOptions& engine_options) {
    OwnWasiRun run{.wasm = opened_.wasm,
                   .code = std::move(opened_.code),
                   .mode = options_.mode,
                   .arguments = options_.arguments,
                   .environment = options_.environment,
                   .folders = options_.folders};
    if (run.mode == Mode::kAot && !run.code) {
      TRY_ASSIGN(engine_, program_.make(engine_options));
      TRY_ASSIGN(run.code, Code());
    }
    TRY_ASSIGN(measured_.last, program_.run_own_wasi(engine_options, run));
    return {};
  }

  // One invocation in a fresh instance.
  RunResult Invoke(wasi::Wasi& wasi, uint64_t id) {
    wasi.guard().Begin(id, SteadyClock::now() + options_.timeout);
    wasi.Begin({.arguments = arguments_.block(),
                .environment = environment_.block(),
                .body = opened_.body,
                .folders = opened_.folders,
                .output_limit_bytes = kOutputLimitBytes});
    RunResult result = module_->Run(wasi);
    wasi.guard().End();
    wasi.End();
    return result;
  }

  void Count(RunResult result) {
    const bool good = result.kind == OutcomeKind::kDone;
    if (measured_.failed == 0) measured_.last = std::move(result);
    if (!good) ++measured_.failed;
  }

  void RunInTurn() {
    wasi_ = std::make_unique<wasi::Wasi>(watchdog_->guard(0));
    measured_.request_us_tenths.assign(options_.repeat, 0);
    measured_.instantiate_us_tenths.assign(options_.repeat, 0);
    const uint32_t warm = options_.repeat / 100;
    for (uint32_t i = 0; i < options_.repeat; ++i) {
      if (i == warm) measured_.resident_start_kib = ResidentKiB(opened_.statm.get());
      const auto began = SteadyClock::now();
      RunResult result = Invoke(*wasi_, i + 1);
      measured_.request_us_tenths[i] = Tenths(SteadyClock::now() - began);
      measured_.instantiate_us_tenths[i] = Tenths(result.instantiate);
      Count(std::move(result));
    }
    measured_.resident_end_kib = ResidentKiB(opened_.statm.get());
  }

  // Each on a thread of its own. How many were instantiated at once is counted from their times.
  void RunAtOnce() {
    struct Life {
      RunResult result;
      SteadyClock::time_point instantiated;
      SteadyClock::time_point ended;
    };
    const uint32_t count = options_.concurrent;
    std::vector<Life> lives(count);
    std::barrier start(static_cast<ptrdiff_t>(count));
    std::vector<std::thread> threads;
    for (uint32_t i = 0; i < count; ++i) {
      threads.emplace_back([this, &start, &life = lives[i], i] {
        wasi::Wasi wasi(watchdog_->guard(i));
        start.arrive_and_wait();
        life.result = Invoke(wasi, i + 1);
        life.ended = SteadyClock::now();
        life.instantiated = life.ended - life.result.run;
      });
    }
    for (std::thread& thread : threads) thread.join();
    measured_.at_once = 0;
    for (Life& life : lives) {
      const auto alive = [&life](const Life& other) {
        return other.instantiated <= life.ended && life.ended <= other.ended;
      };
      const auto at_once = std::ranges::count_if(lives, alive);
      measured_.at_once = std::max(measured_.at_once, static_cast<uint32_t>(at_once));
    }
    for (Life& life : lives) Count(std::move(life.result));
  }

  Result<> Print() {
    TRY(WriteAll(2, wasi_->log()));
    OutputSink& output = wasi_->output();
    if (!output.in_file()) return WriteAll(1, output.view());
    const uint64_t size = output.size();
    TRY_ASSIGN(const UniqueFd file, output.TakeFile());
    void* mapped = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
    if (mapped == MAP_FAILED) return FailErrno("map the guest's output");
    Result<> written = WriteAll(1, {static_cast<const char*>(mapped), size});
    ::munmap(mapped, size);
    return written;
  }

  static uint32_t Percentile(std::vector<uint32_t>& all, uint32_t percent) {
    if (all.empty()) return 0;
    const size_t at = std::min(all.size() - 1, all.size() * percent / 100);
    std::ranges::nth_element(all, all.begin() + static_cast<ptrdiff_t>(at));
    return all[at];
  }

  Result<int> Report() {
    const RunResult& last = measured_.last;
    if (!last.message.empty()) (void)std::fprintf(stderr, "%s\n", last.message.c_str());
    if (opened_.report) {
      const nlohmann::ordered_json report = {
          {"engine", program_.name},
          {"compiler", options_.compiler},
          {"mode", ModeName(options_.mode)},
          {"wasi", options_.own_wasi ? "own" : "ours"},
          {"outcome", OutcomeName(last.kind)},
          {"exit_status", last.exit_status},
          {"message", last.message},
          {"compile_us", measured_.compile_us},
          {"load_us", measured_.load_us},
          {"instantiate_us", Us(last.instantiate)},
          {"run_us", Us(last.run)},
          {"peak_memory_bytes", last.peak_memory_bytes},
          {"failed", measured_.failed},
          {"at_once", measured_.at_once},
          {"request_us_p50", Percentile(measured_.request_us_tenths, 50) / 10.0},
          {"request_us_p99", Percentile(measured_.request_us_tenths, 99) / 10.0},
          {"instantiate_us_p50", Percentile(measured_.instantiate_us_tenths, 50) / 10.0},
          {"resident_start_kib", measured_.resident_start_kib},
          {"resident_end_kib", measured_.resident_end_kib}};
      TRY(WriteAll(opened_.report.get(), report.dump() + "\n"));
    }
    return StatusOf(last);
  }

  const EngineProgram& program_;
  const OneShotOptions& options_;
  Opened opened_;
  Strings arguments_;
  Strings environment_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<Module> module_;
  std::unique_ptr<Watchdog> watchdog_;
  std::unique_ptr<wasi::Wasi> wasi_;
  Measured measured_;
};

}  // namespace

Result<int> RunOneShot(const EngineProgram& program, Arguments arguments) {
  TRY_ASSIGN(const OneShotOptions options, ParseOneShot(program, std::move(arguments)));
  const TemporaryFolder scratch;
  TRY_ASSIGN(Opened opened, Open(options, scratch));
  OneShot run(program, options, std::move(opened));
  return run.Run();
}

}  // namespace hybridserve
