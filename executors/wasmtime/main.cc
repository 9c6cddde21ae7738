// hybridserve-executor-wasmtime: runs guests in Wasmtime, jailed. Started by the launcher.
//
//   serve --threads N [--keep-resident BYTES] [--scratch]
//                           descriptor 3: data socket, 4: control socket
//                           (wasm/executor_protocol.h), 5 with --scratch: an empty folder in which
//                           guests' /tmp are made
//   compile [--memory-limit BYTES]
//                           descriptor 3: a .wasm file, 4: where the native code goes; prints
//                           "memory_minimum_bytes=N". Exit status 2 and a sentence on standard
//                           error when the module cannot be a function.
//   fingerprint             prints what native code depends on beyond the module
//
// All take --no-lockdown: stay outside the jail, for tests.
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <charconv>
#include <cstdio>
#include <cstring>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "executors/common/executor.h"
#include "executors/wasmtime/wasmtime_engine.h"
#include "sandbox/lockdown.h"
#include "wasm/module_info.h"

namespace hybridserve {
namespace {

constexpr int kWasmFd = 3;
constexpr int kCodeFd = 4;
constexpr int kScratchFd = 5;

struct Arguments {
  std::string_view verb;
  uint64_t threads = 32;
  uint64_t memory_limit_bytes = UINT64_MAX;
  uint64_t keep_resident_bytes = WasmtimeOptions{}.keep_resident_bytes;
  bool lockdown = true;
  bool scratch = false;
};

Result<uint64_t> ParseNumber(std::string_view option, std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    return Fail(Code::kInvalidArgument,
                std::string(option) + " takes a number, not '" + std::string(text) + "'");
  }
  return value;
}

Result<Arguments> Parse(const std::vector<std::string_view>& words) {
  Arguments arguments;
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string_view word = words[i];
    const std::string_view next = i + 1 < words.size() ? words[i + 1] : std::string_view();
    if (word == "--no-lockdown") {
      arguments.lockdown = false;
    } else if (word == "--scratch") {
      arguments.scratch = true;
    } else if (word == "--keep-resident") {
      TRY_ASSIGN(arguments.keep_resident_bytes, ParseNumber(word, next));
      ++i;
    } else if (word == "--threads") {
      TRY_ASSIGN(arguments.threads, ParseNumber(word, next));
      ++i;
    } else if (word == "--memory-limit") {
      TRY_ASSIGN(arguments.memory_limit_bytes, ParseNumber(word, next));
      ++i;
    } else if (arguments.verb.empty() && !word.starts_with("-")) {
      arguments.verb = word;
    } else {
      return Fail(Code::kInvalidArgument, "unknown argument '" + std::string(word) + "'");
    }
  }
  if (arguments.threads < 1 || arguments.threads > 256) {
    return Fail(Code::kInvalidArgument, "--threads must be between 1 and 256");
  }
  return arguments;
}

Result<> Serve(const Arguments& arguments) {
  WasmtimeOptions options;
  options.threads = static_cast<uint32_t>(arguments.threads);
  options.keep_resident_bytes = arguments.keep_resident_bytes;
  TRY_ASSIGN(const std::unique_ptr<Engine> engine, MakeWasmtimeEngine(options));
  if (arguments.lockdown) TRY(sandbox::Lockdown(sandbox::Profile::kExecutor));
  RunExecutor(*engine,
              {.threads = options.threads, .scratch_folder = arguments.scratch ? kScratchFd : -1});
}

Result<> Compile(const Arguments& arguments) {
  if (arguments.lockdown) TRY(sandbox::Lockdown(sandbox::Profile::kJob));
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
  TRY(CheckCommand(info, wasi::kModuleName, known, arguments.memory_limit_bytes));
  TRY_ASSIGN(const std::unique_ptr<Engine> engine, MakeWasmtimeEngine({.threads = 1}));
  TRY_ASSIGN(const std::string code, engine->Compile(wasm));
  TRY(WriteAll(kCodeFd, code));
  std::printf("memory_minimum_bytes=%llu\n",
              static_cast<unsigned long long>(info.MinimumMemoryBytes()));
  return {};
}

Result<> Run(const std::vector<std::string_view>& words) {
  TRY_ASSIGN(const Arguments arguments, Parse(words));
  if (arguments.verb == "serve") return Serve(arguments);
  if (arguments.verb == "compile") return Compile(arguments);
  if (arguments.verb == "fingerprint") {
    std::printf("%s\n", WasmtimeFingerprint().c_str());
    return {};
  }
  return Fail(Code::kInvalidArgument,
              "usage: hybridserve-executor-wasmtime serve|compile|fingerprint [--threads N] "
              "[--keep-resident BYTES] [--scratch] [--memory-limit BYTES]");
}

}  // namespace
}  // namespace hybridserve

int main(int argc, char** argv) {
  const std::vector<std::string_view> words(argv + 1, argv + argc);
  const hybridserve::Result<> result = hybridserve::Run(words);
  if (result) return 0;
  (void)std::fprintf(stderr, "%s\n", result.error().message.c_str());
  return hybridserve::ExitCode(result.error().code);
}
