#include "executors/common/program.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/file.h"
#include "executors/common/arguments.h"
#include "executors/common/executor.h"
#include "executors/common/one_shot.h"
#include "executors/common/self_test.h"
#include "sandbox/lockdown.h"
#include "wasm/module_info.h"

namespace hybridserve {
namespace {

constexpr int kWasmFd = 3;
constexpr int kCodeFd = 4;
constexpr int kScratchFd = 5;
constexpr uint64_t kMaxThreads = 256;

constexpr std::pair<std::string_view, Mode> kModes[] = {{"aot", Mode::kAot},
                                                        {"jit", Mode::kJit},
                                                        {"jit-cache", Mode::kJitCache},
                                                        {"interpreter", Mode::kInterpreter}};

// What the verbs but `run` take.
struct Options {
  uint64_t threads = 32;
  uint64_t memory_limit_bytes = UINT64_MAX;
  uint64_t keep_resident_bytes = EngineOptions{}.keep_resident_bytes;
  std::string compiler;
  bool lockdown = true;
  bool scratch = false;
};

Result<Options> Parse(const EngineProgram& program, Arguments& arguments) {
  Options options;
  options.compiler = program.compilers.front().name;
  while (!arguments.empty()) {
    const std::string_view word = arguments.Take();
    if (word == "--no-lockdown") {
      options.lockdown = false;
    } else if (word == "--scratch") {
      options.scratch = true;
    } else if (word == "--keep-resident") {
      TRY_ASSIGN(options.keep_resident_bytes, arguments.TakeNumber(word, 0, UINT64_MAX));
    } else if (word == "--threads") {
      TRY_ASSIGN(options.threads, arguments.TakeNumber(word, 1, kMaxThreads));
    } else if (word == "--memory-limit") {
      TRY_ASSIGN(options.memory_limit_bytes, arguments.TakeNumber(word, 0, UINT64_MAX));
    } else if (word == "--compiler") {
      TRY_ASSIGN(options.compiler, arguments.TakeText(word));
    } else {
      return Fail(Code::kInvalidArgument, "unknown argument '" + std::string(word) + "'");
    }
  }
  TRY(CheckCompiler(program, options.compiler));
  return options;
}

EngineOptions EngineOptionsOf(const Options& options) {
  return {.compiler = options.compiler,
          .threads = static_cast<uint32_t>(options.threads),
          .keep_resident_bytes = options.keep_resident_bytes};
}

Result<> Serve(const EngineProgram& program, const Options& options) {
  const EngineOptions engine_options = EngineOptionsOf(options);
  TRY_ASSIGN(const std::unique_ptr<Engine> engine, program.make(engine_options));
  if (options.lockdown) TRY(sandbox::Lockdown(sandbox::Profile::kExecutor));
  RunExecutor(*engine, {.threads = engine_options.threads,
                        .scratch_folder = options.scratch ? kScratchFd : -1});
}

Result<> Compile(const EngineProgram& program, const Options& options) {
  // For a compiler's own files, where the launcher gave no folder: one of the machine's, or none.
  std::optional<TemporaryFolder> own_folder;
  UniqueFd own_scratch;
  if (!options.scratch) {
    own_folder.emplace();
    own_scratch.Reset(::open(own_folder->path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  if (options.lockdown) TRY(sandbox::Lockdown(sandbox::Profile::kJob));
  struct stat stat {};
  if (::fstat(kWasmFd, &stat) != 0) return FailErrno("look at the module on descriptor 3");
  const auto size = static_cast<size_t>(stat.st_size);
  if (size == 0) return Fail(Code::kInvalidArgument, "the file is empty");
  void* mapped = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, kWasmFd, 0);
  if (mapped == MAP_FAILED) return FailErrno("read the module on descriptor 3");
  const std::string_view wasm(static_cast<const char*>(mapped), size);

  TRY_ASSIGN(const ModuleInfo info, ReadModuleInfo(wasm));
  std::vector<std::string_view> known;
  for (const wasi::HostFunction& function : wasi::HostFunctions()) known.push_back(function.name);
  TRY(CheckCommand(info, wasi::kModuleName, known, options.memory_limit_bytes));
  TRY_ASSIGN(const std::unique_ptr<Engine> engine,
             program.make({.compiler = options.compiler,
                           .threads = 1,
                           .scratch_folder = options.scratch ? kScratchFd : own_scratch.get()}));
  TRY_ASSIGN(const std::string code, engine->Compile(wasm));
  TRY(WriteAll(kCodeFd, code));
  std::printf("memory_minimum_bytes=%llu\n",
              static_cast<unsigned long long>(info.MinimumMemoryBytes()));
  return {};
}

std::string Describe(const EngineProgram& program) {
  nlohmann::ordered_json description = {{"engine", program.name}, {"version", program.version}};
  description["compilers"] = nlohmann::ordered_json::array();
  for (const CompilerInfo& compiler : program.compilers) {
    nlohmann::ordered_json modes = nlohmann::ordered_json::array();
    for (const Mode mode : program.modes) {
      if (program.Has(compiler, mode)) modes.push_back(ModeName(mode));
    }
    description["compilers"].push_back({{"name", compiler.name}, {"modes", std::move(modes)}});
  }
  description["own_wasi"] = program.run_own_wasi != nullptr;
  description["deadline"] = program.deadline;
  return description.dump();
}

Result<int> Run(const EngineProgram& program, Arguments arguments) {
  const std::string_view verb = arguments.empty() ? std::string_view() : arguments.Take();
  if (verb == "run") return RunOneShot(program, std::move(arguments));
  if (verb == "describe") {
    std::printf("%s\n", Describe(program).c_str());
    return 0;
  }
  const bool known =
      verb == "serve" || verb == "compile" || verb == "fingerprint" || verb == "self-test";
  if (!known) {
    return Fail(Code::kInvalidArgument,
                "usage: hybridserve-executor-" + std::string(program.name) +
                    " serve|compile|fingerprint|describe|self-test|run [--compiler C] "
                    "[--threads N] [--keep-resident BYTES] [--scratch] [--memory-limit BYTES]");
  }
  TRY_ASSIGN(const Options options, Parse(program, arguments));
  if (verb == "self-test") return SelfTest(program, options.compiler);
  if (verb == "serve") {
    TRY(Serve(program, options));
  } else if (verb == "compile") {
    TRY(Compile(program, options));
  } else {
    std::printf("%s\n", program.fingerprint(options.compiler).c_str());
  }
  return 0;
}

}  // namespace

const CompilerInfo* EngineProgram::FindCompiler(std::string_view compiler) const {
  const auto found = std::ranges::find(compilers, compiler, &CompilerInfo::name);
  return found == compilers.end() ? nullptr : &*found;
}

bool EngineProgram::Has(const CompilerInfo& compiler, Mode mode) const {
  return std::ranges::find(modes, mode) != modes.end() &&
         compiler.interpreter == (mode == Mode::kInterpreter);
}

std::string_view ModeName(Mode mode) {
  return std::ranges::find(kModes, mode, &std::pair<std::string_view, Mode>::second)->first;
}

Result<Mode> ParseMode(std::string_view name) {
  const auto* found = std::ranges::find(kModes, name, &std::pair<std::string_view, Mode>::first);
  if (found != std::end(kModes)) return found->second;
  return Fail(Code::kInvalidArgument, "there is no mode '" + std::string(name) +
                                          "'; there are aot, jit, jit-cache and interpreter");
}

Result<> CheckCompiler(const EngineProgram& program, std::string_view compiler) {
  if (program.FindCompiler(compiler) != nullptr) return {};
  std::string known;
  for (const CompilerInfo& info : program.compilers) {
    known.append(known.empty() ? "" : ", ").append(info.name);
  }
  return Fail(Code::kInvalidArgument, std::string(program.name) + " has no compiler '" +
                                          std::string(compiler) + "' here; it has " + known);
}

int RunEngineProgram(const EngineProgram& program, int argc, char** argv) {
  std::vector<std::string_view> words(argv + 1, argv + argc);
  // For tests, also before the verb.
  if (words.size() > 1 && words[0] == "--no-lockdown") std::swap(words[0], words[1]);
  const Result<int> status = Run(program, Arguments(std::move(words)));
  if (status) return *status;
  (void)std::fprintf(stderr, "%s\n", status.error().message.c_str());
  return ExitCode(status.error().code);
}

}  // namespace hybridserve
