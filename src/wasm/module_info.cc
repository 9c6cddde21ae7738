#include "wasm/module_info.h"

#include <algorithm>
#include <limits>

namespace hybridserve {
namespace {

// Of one section; more is not a function that anybody runs.
constexpr uint32_t kMaxEntries = 1u << 20;
constexpr uint64_t kMaxNameBytes = 64 * 1024;
constexpr uint32_t kMaxNamedImports = 10;

enum Section : uint8_t { kImportSection = 2, kMemorySection = 5, kExportSection = 7 };

// Reads LEB128 numbers and names; after the first failure everything reads as 0.
class Cursor {
 public:
  Cursor(std::string_view bytes, size_t base) : bytes_(bytes), base_(base) {}

  uint8_t Byte() {
    if (position_ >= bytes_.size()) {
      failed_ = true;
      return 0;
    }
    return static_cast<uint8_t>(bytes_[position_++]);
  }
  uint64_t Number(int max_bits) {
    uint64_t value = 0;
    for (int shift = 0; shift < max_bits; shift += 7) {
      const uint8_t byte = Byte();
      const int left = max_bits - shift;
      if (left < 7 && ((byte & 0x7f) >> left) != 0) break;
      value |= uint64_t{byte & 0x7fu} << shift;
      if ((byte & 0x80) == 0) return failed_ ? 0 : value;
    }
    failed_ = true;
    return 0;
  }
  uint32_t U32() { return static_cast<uint32_t>(Number(32)); }
  std::string_view Bytes(uint64_t count) {
    if (count > bytes_.size() - position_) {
      failed_ = true;
      return {};
    }
    const std::string_view taken = bytes_.substr(position_, count);
    position_ += count;
    return taken;
  }
  std::string_view Name() {
    const uint32_t size = U32();
    if (size > kMaxNameBytes) failed_ = true;
    return failed_ ? std::string_view() : Bytes(size);
  }
  void Fail() { failed_ = true; }
  [[nodiscard]] bool failed() const { return failed_; }
  [[nodiscard]] bool AtEnd() const { return position_ == bytes_.size(); }
  /// Where it stands in the whole file.
  [[nodiscard]] size_t offset() const { return base_ + position_; }

 private:
  std::string_view bytes_;
  size_t base_;
  size_t position_ = 0;
  bool failed_ = false;
};

struct LimitsOf {
  uint64_t minimum = 0;
  std::optional<uint64_t> maximum;
  uint8_t flags = 0;
};
constexpr uint8_t kHasMaximum = 1;
constexpr uint8_t kShared = 2;
constexpr uint8_t kIs64 = 4;
constexpr uint8_t kHasPageSize = 8;

LimitsOf ReadLimits(Cursor& cursor) {
  LimitsOf limits;
  limits.flags = cursor.Byte();
  const int bits = (limits.flags & kIs64) != 0 ? 64 : 32;
  if (limits.flags > 15) cursor.Fail();
  limits.minimum = cursor.Number(bits);
  if ((limits.flags & kHasMaximum) != 0) limits.maximum = cursor.Number(bits);
  return limits;
}

uint64_t ToBytes(uint64_t pages, uint32_t page_bits) {
  const uint64_t largest = std::numeric_limits<uint64_t>::max() >> page_bits;
  return pages > largest ? std::numeric_limits<uint64_t>::max() : pages << page_bits;
}

WasmMemory ReadMemory(Cursor& cursor) {
  const LimitsOf limits = ReadLimits(cursor);
  uint32_t page_bits = 16;
  if ((limits.flags & kHasPageSize) != 0) page_bits = cursor.U32();
  if (page_bits > 16) {
    cursor.Fail();
    return {};
  }
  WasmMemory memory{.minimum_bytes = ToBytes(limits.minimum, page_bits),
                    .shared = (limits.flags & kShared) != 0};
  if (limits.maximum) memory.maximum_bytes = ToBytes(*limits.maximum, page_bits);
  return memory;
}

// A value type: one byte, or a reference with its heap type (a signed number).
void SkipValueType(Cursor& cursor) {
  const uint8_t type = cursor.Byte();
  if (type == 0x63 || type == 0x64) {
    while ((cursor.Byte() & 0x80) != 0 && !cursor.failed()) {
    }
  }
}

void ReadImport(Cursor& cursor, ModuleInfo& info) {
  WasmImport import;
  import.module = cursor.Name();
  import.name = cursor.Name();
  const uint8_t kind = cursor.Byte();
  switch (kind) {
    case 0:
      cursor.U32();
      break;
    case 1:
      SkipValueType(cursor);
      ReadLimits(cursor);
      break;
    case 2: {
      WasmMemory memory = ReadMemory(cursor);
      memory.imported = true;
      info.memories.push_back(memory);
      break;
    }
    case 3:
      SkipValueType(cursor);
      cursor.Byte();
      break;
    case 4:
      cursor.Byte();
      cursor.U32();
      break;
    default:
      cursor.Fail();
      return;
  }
  import.kind = static_cast<ExternKind>(kind);
  if (!cursor.failed()) info.imports.push_back(std::move(import));
}

void ReadExport(Cursor& cursor, ModuleInfo& info) {
  WasmExport exported;
  exported.name = cursor.Name();
  const uint8_t kind = cursor.Byte();
  cursor.U32();
  if (kind > 4) cursor.Fail();
  exported.kind = static_cast<ExternKind>(kind);
  if (!cursor.failed()) info.exports.push_back(std::move(exported));
}

void ReadSection(uint8_t id, Cursor& cursor, ModuleInfo& info) {
  if (id != kImportSection && id != kMemorySection && id != kExportSection) return;
  const uint32_t count = cursor.U32();
  if (count > kMaxEntries) cursor.Fail();
  for (uint32_t i = 0; i < count && !cursor.failed(); ++i) {
    switch (id) {
      case kImportSection:
        ReadImport(cursor, info);
        break;
      case kMemorySection:
        info.memories.push_back(ReadMemory(cursor));
        break;
      default:
        ReadExport(cursor, info);
        break;
    }
  }
  if (!cursor.AtEnd()) cursor.Fail();
}

tl::unexpected<Error> Invalid(std::string message) {
  return Fail(Code::kInvalidArgument, std::move(message));
}

std::string MiB(uint64_t bytes) { return std::to_string((bytes + (1u << 20) - 1) >> 20) + " MiB"; }

}  // namespace

uint64_t ModuleInfo::MinimumMemoryBytes() const {
  uint64_t sum = 0;
  for (const WasmMemory& memory : memories) {
    sum = memory.minimum_bytes > std::numeric_limits<uint64_t>::max() - sum
              ? std::numeric_limits<uint64_t>::max()
              : sum + memory.minimum_bytes;
  }
  return sum;
}

Result<ModuleInfo> ReadModuleInfo(std::string_view wasm) {
  static constexpr std::string_view kMagic("\0asm", 4);
  static constexpr std::string_view kCore("\1\0\0\0", 4);
  if (wasm.substr(0, 4) != kMagic.substr(0, std::min<size_t>(4, wasm.size())) || wasm.empty()) {
    return Invalid("not a WebAssembly file: it does not start with \"\\0asm\"");
  }
  if (wasm.size() < 8) {
    return Invalid("the WebAssembly file is cut off: it has " + std::to_string(wasm.size()) +
                   " bytes");
  }
  ModuleInfo info;
  const std::string_view version = wasm.substr(4, 4);
  if (version.substr(2) == std::string_view("\1\0", 2)) {
    info.kind = WasmKind::kComponent;
    return info;
  }
  if (version != kCore) {
    return Invalid("the WebAssembly file is of an unknown version; only version 1 is supported");
  }
  Cursor file(wasm.substr(8), 8);
  while (!file.AtEnd()) {
    const size_t at = file.offset();
    const uint8_t id = file.Byte();
    const uint32_t size = file.U32();
    const size_t start = file.offset();
    const std::string_view content = file.Bytes(size);
    if (file.failed()) {
      return Invalid("the WebAssembly file is cut off: section " + std::to_string(id) +
                     " at offset " + std::to_string(at) + " goes beyond the file's end (" +
                     std::to_string(wasm.size()) + " bytes)");
    }
    Cursor section(content, start);
    ReadSection(id, section, info);
    if (section.failed()) {
      return Invalid("the WebAssembly file is malformed: section " + std::to_string(id) +
                     " near offset " + std::to_string(section.offset()));
    }
  }
  return info;
}

Result<> CheckCommand(const ModuleInfo& info, std::string_view known_module,
                      const std::vector<std::string_view>& known_imports,
                      uint64_t memory_limit_bytes) {
  if (info.kind == WasmKind::kComponent) {
    return Fail(Code::kUnsupported,
                "the file is a WebAssembly component; only core modules (WASI preview 1 commands) "
                "can be run: build for the target wasm32-wasi or wasm32-wasip1");
  }
  std::string unknown;
  uint32_t unknown_count = 0;
  for (const WasmImport& import : info.imports) {
    const bool known =
        import.kind == ExternKind::kFunction && import.module == known_module &&
        std::find(known_imports.begin(), known_imports.end(), import.name) != known_imports.end();
    if (known || ++unknown_count > kMaxNamedImports) continue;
    unknown += (unknown.empty() ? "" : ", ") + import.module.substr(0, 100) + "." +
               import.name.substr(0, 100);
  }
  if (unknown_count > kMaxNamedImports) {
    unknown += " and " + std::to_string(unknown_count - kMaxNamedImports) + " more";
  }
  if (unknown_count != 0) {
    return Invalid("the module imports what no function gets: " + unknown + "; only functions of " +
                   std::string(known_module) + " can be imported");
  }
  const auto start = std::find_if(info.exports.begin(), info.exports.end(), [](const auto& e) {
    return e.name == "_start" && e.kind == ExternKind::kFunction;
  });
  if (start == info.exports.end()) {
    return Invalid(
        "the module exports no function _start, so it is a library and not a command; build it as "
        "a program with a main function");
  }
  return CheckMemoryMinimum(info.MinimumMemoryBytes(), memory_limit_bytes);
}

Result<> CheckMemoryMinimum(uint64_t minimum_bytes, uint64_t memory_limit_bytes) {
  if (minimum_bytes <= memory_limit_bytes) return {};
  return Invalid("the module needs " + MiB(minimum_bytes) +
                 " of memory at its start; the limit is " + MiB(memory_limit_bytes) +
                 ": raise limits.memory or link with a smaller stack");
}

}  // namespace hybridserve
