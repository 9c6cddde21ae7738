#include "executors/common/self_test.h"

#include <fcntl.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "executors/common/watchdog.h"

namespace hybridserve {
namespace {

// (module
//   (import "wasi_snapshot_preview1" "fd_write"
//     (func $fd_write (param i32 i32 i32 i32) (result i32)))
//   (memory (export "memory") 1)
//   (data (i32.const 0) "\08\00\00\00\02\00\00\00ok")
//   (func (export "_start")
//     (if (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16))
//       (then unreachable))))
constexpr uint8_t kModule[] = {
    0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x0c, 0x02, 0x60, 0x04, 0x7f, 0x7f, 0x7f,
    0x7f, 0x01, 0x7f, 0x60, 0x00, 0x00, 0x02, 0x23, 0x01, 0x16, 0x77, 0x61, 0x73, 0x69, 0x5f, 0x73,
    0x6e, 0x61, 0x70, 0x73, 0x68, 0x6f, 0x74, 0x5f, 0x70, 0x72, 0x65, 0x76, 0x69, 0x65, 0x77, 0x31,
    0x08, 0x66, 0x64, 0x5f, 0x77, 0x72, 0x69, 0x74, 0x65, 0x00, 0x00, 0x03, 0x02, 0x01, 0x01, 0x05,
    0x03, 0x01, 0x00, 0x01, 0x07, 0x13, 0x02, 0x06, 0x6d, 0x65, 0x6d, 0x6f, 0x72, 0x79, 0x02, 0x00,
    0x06, 0x5f, 0x73, 0x74, 0x61, 0x72, 0x74, 0x00, 0x01, 0x0a, 0x12, 0x01, 0x10, 0x00, 0x41, 0x01,
    0x41, 0x00, 0x41, 0x01, 0x41, 0x10, 0x10, 0x00, 0x04, 0x40, 0x00, 0x0b, 0x0b, 0x0b, 0x10, 0x01,
    0x00, 0x41, 0x00, 0x0b, 0x0a, 0x08, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x6f, 0x6b};
constexpr std::string_view kAnswer = "ok";
constexpr uint64_t kMemoryLimitBytes = 1u << 20;
constexpr std::chrono::seconds kTimeout{10};

std::string_view Wasm() { return {reinterpret_cast<const char*>(kModule), sizeof(kModule)}; }

Result<std::unique_ptr<Module>> Translate(Engine& engine, Mode mode) {
  if (mode != Mode::kAot) return engine.LoadWasm(Wasm(), kMemoryLimitBytes);
  TRY_ASSIGN(const std::string code, engine.Compile(Wasm()));
  TRY_ASSIGN(UniqueFd file, SealedMemfd("code", code));
  return engine.Load(std::move(file), kMemoryLimitBytes);
}

Result<> Try(const EngineProgram& program, const CompilerInfo& compiler, Mode mode) {
  const TemporaryFolder cache;
  const TemporaryFolder scratch;
  TRY_ASSIGN(const UniqueFd scratch_folder, OpenFile(scratch.path(), O_RDONLY | O_DIRECTORY));
  TRY_ASSIGN(const std::unique_ptr<Engine> engine,
             program.make({.compiler = std::string(compiler.name),
                           .threads = 1,
                           .cache_folder = mode == Mode::kJitCache ? cache.path().string() : "",
                           .scratch_folder = scratch_folder.get()}));
  TRY_ASSIGN(const std::unique_ptr<Module> module, Translate(*engine, mode));
  Watchdog watchdog(1, [&engine] { engine->Interrupt(); });
  wasi::Wasi wasi(watchdog.guard(0));
  wasi.guard().Begin(1, SteadyClock::now() + kTimeout);
  wasi.Begin({.output_limit_bytes = kAnswer.size()});
  const RunResult result = module->Run(wasi);
  wasi.guard().End();
  if (result.kind == OutcomeKind::kDone && wasi.output().view() == kAnswer) return {};
  return Fail(Code::kInternal,
              "the guest ended wrongly" + (result.message.empty() ? "" : ": " + result.message));
}

}  // namespace

Result<int> SelfTest(const EngineProgram& program, std::string_view compiler) {
  const CompilerInfo& info = *program.FindCompiler(compiler);
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  bool all = true;
  for (const Mode mode : program.modes) {
    if (!program.Has(info, mode)) continue;
    const Result<> tried = Try(program, info, mode);
    all = all && tried;
    list.push_back({{"mode", ModeName(mode)},
                    {"ok", tried.has_value()},
                    {"error", tried ? "" : tried.error().message}});
  }
  std::printf("%s\n", list.dump().c_str());
  return all ? 0 : 1;
}

}  // namespace hybridserve
