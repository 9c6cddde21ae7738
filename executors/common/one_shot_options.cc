#include "executors/common/one_shot_options.h"

#include <optional>

namespace hybridserve {
namespace {

constexpr uint64_t kMaxRepeat = 100'000'000;
constexpr uint64_t kMaxConcurrent = 1024;
constexpr uint64_t kMaxTimeoutMs = 24 * 3600 * 1000;

Result<OwnWasiRun::Folder> ParseFolder(const std::string& text) {
  const size_t colon = text.find(':');
  const size_t second = colon == std::string::npos ? colon : text.find(':', colon + 1);
  const std::string access = second == std::string::npos ? "" : text.substr(second + 1);
  OwnWasiRun::Folder folder{
      .host = text.substr(0, colon),
      .guest = colon == std::string::npos ? "" : text.substr(colon + 1, second - colon - 1),
      .writable = access == "rw"};
  const bool known = access.empty() || access == "rw" || access == "ro";
  if (!folder.host.empty() && !folder.guest.empty() && known) return folder;
  return Fail(Code::kInvalidArgument,
              "--folder takes HOST:GUEST or HOST:GUEST:rw, not '" + text + "'");
}

Result<bool> ParseWasi(const std::string& whose) {
  if (whose == "ours") return false;
  if (whose == "own") return true;
  return Fail(Code::kInvalidArgument, "--wasi is 'ours' or 'own', not '" + whose + "'");
}

Result<> Check(const EngineProgram& program, const OneShotOptions& options) {
  TRY(CheckCompiler(program, options.compiler));
  if (!program.Has(*program.FindCompiler(options.compiler), options.mode)) {
    return Fail(Code::kUnsupported, std::string(program.name) + " has no mode " +
                                        std::string(ModeName(options.mode)) + " with " +
                                        options.compiler);
  }
  if (options.own_wasi && program.run_own_wasi == nullptr) {
    return Fail(Code::kUnsupported, std::string(program.name) + " has no WASI of its own here");
  }
  if (options.own_wasi && (options.repeat > 1 || options.concurrent > 1)) {
    return Fail(Code::kInvalidArgument,
                "--wasi own runs once; leave out --repeat and --concurrent");
  }
  if ((options.mode == Mode::kJitCache) == options.cache_folder.empty()) {
    return Fail(Code::kInvalidArgument, "--mode jit-cache and --cache FOLDER belong together");
  }
  if (options.mode != Mode::kAot && !options.code_file.empty()) {
    return Fail(Code::kInvalidArgument, "--code is for --mode aot");
  }
  if (options.arguments.empty()) {
    return Fail(Code::kInvalidArgument, "run needs the .wasm file that is to be run");
  }
  return {};
}

// One option; false: `word` is none.
Result<bool> TakeOption(std::string_view word, Arguments& arguments, OneShotOptions& options,
                        std::optional<Mode>& mode) {
  if (word == "--no-lockdown") {
    options.lockdown = false;
  } else if (word == "--compiler") {
    TRY_ASSIGN(options.compiler, arguments.TakeText(word));
  } else if (word == "--mode") {
    TRY_ASSIGN(const std::string name, arguments.TakeText(word));
    TRY_ASSIGN(mode, ParseMode(name));
  } else if (word == "--code") {
    TRY_ASSIGN(options.code_file, arguments.TakeText(word));
  } else if (word == "--cache") {
    TRY_ASSIGN(options.cache_folder, arguments.TakeText(word));
  } else if (word == "--wasi") {
    TRY_ASSIGN(const std::string whose, arguments.TakeText(word));
    TRY_ASSIGN(options.own_wasi, ParseWasi(whose));
  } else if (word == "--folder") {
    TRY_ASSIGN(const std::string text, arguments.TakeText(word));
    TRY_ASSIGN(OwnWasiRun::Folder folder, ParseFolder(text));
    options.folders.push_back(std::move(folder));
  } else if (word == "--env") {
    TRY_ASSIGN(std::string variable, arguments.TakeText(word));
    if (variable.find('=') == std::string::npos) {
      return Fail(Code::kInvalidArgument, "--env takes NAME=VALUE, not '" + variable + "'");
    }
    options.environment.push_back(std::move(variable));
  } else if (word == "--memory-limit") {
    TRY_ASSIGN(options.memory_limit_bytes, arguments.TakeNumber(word, 0, 1ull << 40));
  } else if (word == "--timeout") {
    TRY_ASSIGN(const uint64_t ms, arguments.TakeNumber(word, 1, kMaxTimeoutMs));
    options.timeout = std::chrono::milliseconds(ms);
  } else if (word == "--repeat") {
    TRY_ASSIGN(options.repeat, arguments.TakeNumber(word, 1, kMaxRepeat));
  } else if (word == "--concurrent") {
    TRY_ASSIGN(options.concurrent, arguments.TakeNumber(word, 1, kMaxConcurrent));
  } else if (word == "--report") {
    TRY_ASSIGN(options.report_file, arguments.TakeText(word));
  } else {
    return false;
  }
  return true;
}

}  // namespace

Result<OneShotOptions> ParseOneShot(const EngineProgram& program, Arguments arguments) {
  OneShotOptions options;
  options.compiler = program.compilers.front().name;
  std::optional<Mode> mode;
  while (!arguments.empty() && arguments.Peek().starts_with("--")) {
    const std::string_view word = arguments.Take();
    TRY_ASSIGN(const bool known, TakeOption(word, arguments, options, mode));
    if (!known) {
      return Fail(Code::kInvalidArgument, "run has no option '" + std::string(word) + "'");
    }
  }
  while (!arguments.empty()) options.arguments.emplace_back(arguments.Take());
  const CompilerInfo* compiler = program.FindCompiler(options.compiler);
  const bool interpreter = compiler != nullptr && compiler->interpreter;
  options.mode = mode.value_or(interpreter ? Mode::kInterpreter : Mode::kAot);
  TRY(Check(program, options));
  return options;
}

}  // namespace hybridserve
