#include "executors/tests/guests.h"

#include <unistd.h>

#include <cstdlib>

#include "base/file.h"

namespace hybridserve {
namespace {

std::filesystem::path CacheFolder() {
  if (const char* cache = std::getenv("XDG_CACHE_HOME"))
    return std::filesystem::path(cache) / "hybridserve";
  const char* home = std::getenv("HOME");
  return std::filesystem::path(home != nullptr ? home : "/root") / ".cache/hybridserve";
}

int Shell(const std::string& command) { return std::system(command.c_str()); }

Result<std::string> Build(const std::string& tool, const std::string& command,
                          const std::filesystem::path& output) {
  if (Shell(command) != 0) return Fail(Code::kInvalidArgument, tool + " failed: " + command);
  return ReadFile(output);
}

}  // namespace

Result<std::string> FromText(std::string_view text) {
  if (Shell("command -v wat2wasm >/dev/null") != 0) {
    return Fail(Code::kUnsupported, "wat2wasm (Debian package wabt) is not installed");
  }
  const TemporaryFolder folder;
  const std::filesystem::path input = folder.path() / "guest.wat";
  const std::filesystem::path output = folder.path() / "guest.wasm";
  TRY(WriteFileAtomically(input, text));
  return Build(
      "wat2wasm",
      "wat2wasm --enable-multi-memory --debug-names " + input.string() + " -o " + output.string(),
      output);
}

Result<std::string> CProgram() {
  static const Result<std::string> program = []() -> Result<std::string> {
    const std::filesystem::path python = CacheFolder() / "venv/bin/python";
    if (Shell(python.string() + " -c 'import ziglang' >/dev/null 2>&1") != 0) {
      return Fail(Code::kUnsupported, "the C compiler for Wasm (zig) is not installed: make setup");
    }
    const TemporaryFolder folder;
    const std::filesystem::path output = folder.path() / "program.wasm";
    const std::string cache = (CacheFolder() / "zig").string();
    return Build("zig",
                 "ZIG_GLOBAL_CACHE_DIR=${ZIG_GLOBAL_CACHE_DIR:-" + cache + "} " + python.string() +
                     " -m ziglang cc -target wasm32-wasi -O2 -s -Wl,-z,stack-size=131072 " +
                     std::string(HS_TESTDATA) + "/program.c -o " + output.string(),
                 output);
  }();
  return program;
}

std::string Command(std::string_view code, std::string_view fields) {
  std::string text = R"((module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read"
    (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff"
    (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "Content-Type: text/plain\n\nok")
  (func $answer
    (i32.store (i32.const 0) (i32.const 16))
    (i32.store (i32.const 4) (i32.const 28))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
)";
  text.append(fields).append("\n  (func $main (export \"_start\")\n").append(code);
  return text.append("))\n");
}

}  // namespace hybridserve
