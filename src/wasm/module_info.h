// ModuleInfo: what a WebAssembly file says of itself, read without running or compiling it: whether
// it is a core module or a component, what it imports and exports, and how much memory it declares.
//
// The parser reads section heads and the sections it needs, bounds everything, and allocates in
// proportion to the input. It does not validate code: the compiler does.
//
// Thread rule: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace hybridserve {

enum class WasmKind : uint8_t { kCoreModule, kComponent };

enum class ExternKind : uint8_t { kFunction = 0, kTable = 1, kMemory = 2, kGlobal = 3, kTag = 4 };

struct WasmImport {
  std::string module;
  std::string name;
  ExternKind kind = ExternKind::kFunction;
  bool operator==(const WasmImport&) const = default;
};

struct WasmExport {
  std::string name;
  ExternKind kind = ExternKind::kFunction;
  bool operator==(const WasmExport&) const = default;
};

struct WasmMemory {
  uint64_t minimum_bytes = 0;
  std::optional<uint64_t> maximum_bytes;  ///< Absent: as much as it gets.
  bool shared = false;
  bool imported = false;
  bool operator==(const WasmMemory&) const = default;
};

struct ModuleInfo {
  WasmKind kind = WasmKind::kCoreModule;
  // The rest is empty for a component.
  std::vector<WasmImport> imports;
  std::vector<WasmExport> exports;
  std::vector<WasmMemory> memories;

  /// Of all memories together, saturating.
  [[nodiscard]] uint64_t MinimumMemoryBytes() const;
};

/// Errors: kInvalidArgument not WebAssembly, cut off, or malformed, with the offset.
Result<ModuleInfo> ReadModuleInfo(std::string_view wasm);

/// Whether the module can be a function of ours: a core module that is a WASI command, whose
/// imports are all among `known_imports` of `known_module`, and whose memories fit in
/// `memory_limit_bytes`. Errors: kInvalidArgument with what is wrong and what to do; kUnsupported
/// for a component.
Result<> CheckCommand(const ModuleInfo& info, std::string_view known_module,
                      const std::vector<std::string_view>& known_imports,
                      uint64_t memory_limit_bytes);

/// Whether memories of `minimum_bytes` together fit in the limit of a function.
/// Errors: kInvalidArgument with both figures.
Result<> CheckMemoryMinimum(uint64_t minimum_bytes, uint64_t memory_limit_bytes);

}  // namespace hybridserve
