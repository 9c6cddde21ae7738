#include "cli/toolchain.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <optional>

#include "base/file.h"

namespace hybridserve::cli {
namespace {

namespace fs = std::filesystem;

// One set of flags for every function: zig builds its C library once per set, which takes a minute.
// A guest stack of 128 KiB keeps an instance's memory small; it lies first in memory, so that an
// overflow traps. Floating point is not contracted, so that both builds give the same bits.
constexpr std::string_view kWasmFlags =
    "-target wasm32-wasi -O3 -msimd128 -fno-exceptions -ffp-contract=off "
    "-Wl,-z,stack-size=131072 -s";
constexpr std::string_view kNativeFlags = "-O3 -s -ffp-contract=off";
constexpr std::string_view kStaticFlags = " -static";
// A Debian base brings glibc; its libstdc++ would be another than that of the compiler's machine.
constexpr std::string_view kDebianFlags = " -static-libstdc++ -static-libgcc";
constexpr std::string_view kCxxFlags = "-std=c++20";
#if defined(__x86_64__)
constexpr std::string_view kMuslTarget = "x86_64-linux-musl";
#elif defined(__aarch64__)
constexpr std::string_view kMuslTarget = "aarch64-linux-musl";
#endif

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

bool IsFile(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

/// The zig program inside a Python environment's ziglang package.
fs::path ZigOfVenv(const fs::path& venv) {
  std::error_code error;
  for (const auto& python : fs::directory_iterator(venv / "lib", error)) {
    fs::path zig = python.path() / "site-packages/ziglang/zig";
    if (IsFile(zig)) return zig;
  }
  return {};
}

/// The command that is zig; empty when there is none.
std::string FindZig() {
  if (std::string zig = Variable("HYBRIDSERVE_ZIG"); !zig.empty()) return zig;
  if (fs::path zig = ZigOfVenv(CacheFolder() / "venv"); !zig.empty()) return zig;
  if (fs::path zig = FindOnPath("zig"); !zig.empty()) return zig;
  const bool has_module = !FindOnPath("python3").empty() &&
                          std::system("python3 -c 'import ziglang' >/dev/null 2>&1") == 0;
  return has_module ? "python3 -m ziglang" : "";
}

/// The SDK: named by the user, installed beside the programs, or in the source tree of this build.
fs::path FindSdk() {
  std::vector<fs::path> places = {ProgramFolder() / "../share/hybridserve/sdk/cpp",
                                  fs::path(HYBRIDSERVE_SOURCE_FOLDER) / "sdk/cpp"};
  if (std::string sdk = Variable("HYBRIDSERVE_SDK"); !sdk.empty()) places = {sdk};
  for (const fs::path& place : places) {
    if (IsFile(place / "include/hybridserve/function.h")) return fs::weakly_canonical(place);
  }
  return {};
}

std::string SdkWords(const fs::path& sdk, std::string_view kind) {
  std::string words = "-I" + (sdk / "include").string() + " -I" + (sdk / "src").string();
  for (const fs::path& folder : {sdk / "src", sdk / "src" / kind}) {
    std::vector<std::string> sources;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(folder, error)) {
      if (entry.path().extension() == ".cc") sources.push_back(entry.path());
    }
    std::ranges::sort(sources);
    for (const std::string& source : sources) words += " " + source;
  }
  return words;
}

Result<std::string> WasmCompiler(std::string_view driver) {
  const std::string zig = FindZig();
  if (!zig.empty()) return zig + " " + std::string(driver) + " " + std::string(kWasmFlags);
  return Fail(Code::kUnsupported,
              "there is no C and C++ compiler for Wasm (zig): not in HYBRIDSERVE_ZIG, in " +
                  (CacheFolder() / "venv").string() +
                  ", nor on the path; `pip install ziglang` or `make setup` gets it");
}

/// Static, unless a base has the C library.
Result<std::string> NativeCompiler(const char* gnu, std::string_view driver,
                                   std::string_view base) {
  const std::string flags(kNativeFlags);
  if (!FindOnPath(gnu).empty()) {
    return gnu + (" " + flags + std::string(base == "debian" ? kDebianFlags : kStaticFlags));
  }
  const std::string zig = FindZig();
  if (!zig.empty()) {
    return zig + " " + std::string(driver) + " -target " + std::string(kMuslTarget) + " " + flags +
           std::string(kStaticFlags);
  }
  return Fail(Code::kUnsupported, "there is no native compiler: neither " + std::string(gnu) +
                                      " nor zig is on the path; `apt-get install g++` gets one");
}

Result<std::string> Sdk(std::string_view kind) {
  const fs::path sdk = FindSdk();
  if (sdk.empty()) {
    return Fail(Code::kUnsupported,
                "the C++ SDK was not found beside this program; set HYBRIDSERVE_SDK to the folder "
                "sdk/cpp of HybridServe's source");
  }
  if (sdk.string().find_first_of(" \t\n") != std::string::npos) {
    return Fail(Code::kUnsupported, "the SDK's path " + sdk.string() +
                                        " has a space, which build commands cannot take; set "
                                        "HYBRIDSERVE_SDK to one without");
  }
  return kind.empty() ? sdk.string() : SdkWords(sdk, kind);
}

Result<std::string> ValueOf(std::string_view name, std::string_view base) {
  const std::string with_cxx = " " + std::string(kCxxFlags);
  if (name == "HYBRIDSERVE_WASM_CC") return WasmCompiler("cc");
  if (name == "HYBRIDSERVE_NATIVE_CC") return NativeCompiler("gcc", "cc", base);
  if (name == "HYBRIDSERVE_WASM_SDK") return Sdk("wasi");
  if (name == "HYBRIDSERVE_NATIVE_SDK") return Sdk("native");
  if (name == "HYBRIDSERVE_SDK") return Sdk("");
  Result<std::string> compiler = name == "HYBRIDSERVE_WASM_CXX"
                                     ? WasmCompiler("c++")
                                     : NativeCompiler("g++", "c++", base);
  if (compiler) *compiler += with_cxx;
  return compiler;
}

/// Whether `command` uses the variable: HYBRIDSERVE_WASM_CC is no use of HYBRIDSERVE_WASM_CXX.
bool Mentions(std::string_view command, std::string_view name) {
  for (size_t at = command.find(name); at != std::string_view::npos;
       at = command.find(name, at + 1)) {
    const size_t end = at + name.size();
    const bool goes_on =
        end < command.size() &&
        (std::isalnum(static_cast<unsigned char>(command[end])) != 0 || command[end] == '_');
    if (!goes_on) return true;
  }
  return false;
}

}  // namespace

Result<Variables> BuildVariables(std::string_view command, std::string_view base) {
  constexpr std::string_view kNames[] = {"HYBRIDSERVE_WASM_CC",   "HYBRIDSERVE_WASM_CXX",
                                         "HYBRIDSERVE_NATIVE_CC", "HYBRIDSERVE_NATIVE_CXX",
                                         "HYBRIDSERVE_WASM_SDK",  "HYBRIDSERVE_NATIVE_SDK",
                                         "HYBRIDSERVE_SDK"};
  Variables variables;
  for (const std::string_view name : kNames) {
    if (!Mentions(command, name)) continue;
    // A compiler of the user's own choice stays.
    if (!Variable(std::string(name).c_str()).empty() && name != "HYBRIDSERVE_SDK") continue;
    TRY_ASSIGN(std::string value, ValueOf(name, base));
    variables.emplace_back(name, std::move(value));
  }
  for (const char* name : {"ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR"}) {
    if (Variable(name).empty()) variables.emplace_back(name, CacheFolder() / "zig");
  }
  return variables;
}

fs::path CacheFolder() {
  if (fs::path cache = Variable("XDG_CACHE_HOME"); cache.is_absolute()) {
    return cache / "hybridserve";
  }
  const std::string home = Variable("HOME");
  return fs::path(home.empty() ? "/tmp" : home) / ".cache/hybridserve";
}

fs::path FindOnPath(std::string_view program) {
  const std::string path = Variable("PATH");
  for (size_t begin = 0; begin < path.size();) {
    const size_t end = std::min(path.find(':', begin), path.size());
    const fs::path file = fs::path(path.substr(begin, end - begin)) / program;
    if (end > begin && IsFile(file) && ::access(file.c_str(), X_OK) == 0) return file;
    begin = end + 1;
  }
  return {};
}

}  // namespace hybridserve::cli
