#include "admin/module_check.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <string_view>

#include "function/units.h"
#include "wasm/module_info.h"

namespace hybridserve {

namespace {

constexpr uint64_t kMaxModuleBytes = 256u << 20;

// The file's pages; blobs never change, so they can be read as they are.
class MappedFile {
 public:
  MappedFile(int fd, size_t bytes)
      : bytes_(bytes), data_(::mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, fd, 0)) {}
  ~MappedFile() {
    if (data_ != MAP_FAILED) ::munmap(data_, bytes_);
  }
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  [[nodiscard]] bool good() const { return data_ != MAP_FAILED; }
  [[nodiscard]] std::string_view view() const { return {static_cast<const char*>(data_), bytes_}; }

 private:
  size_t bytes_;
  void* data_;
};

}  // namespace

Result<> CheckModuleFile(int module, const Limits& limits) {
  struct stat status {};
  if (::fstat(module, &status) != 0) return FailErrno("look at the module");
  const auto bytes = static_cast<uint64_t>(status.st_size);
  if (bytes == 0) return Fail(Code::kInvalidArgument, "the module is not a wasm file: it is empty");
  if (bytes > kMaxModuleBytes) {
    return Fail(Code::kTooLarge, "the module has " + FormatSize(bytes) + "; at most " +
                                     FormatSize(kMaxModuleBytes) + " are allowed");
  }
  const MappedFile file(module, bytes);
  if (!file.good()) return FailErrno("map the module");
  if (!file.view().starts_with(std::string_view("\0asm", 4))) {
    return Fail(Code::kInvalidArgument,
                "the module is not a wasm file: it does not start with \"\\0asm\"; deploy what the "
                "compiler wrote for wasm32-wasi");
  }
  const Result<ModuleInfo> info = ReadModuleInfo(file.view());
  if (!info) return Wrap(info.error(), "the module");
  if (info->kind == WasmKind::kComponent) {
    return Fail(Code::kUnsupported,
                "the module is a component; this node runs WASI preview 1 commands: compile for "
                "wasm32-wasip1");
  }
  const auto is_start = [](const WasmExport& exported) {
    return exported.name == "_start" && exported.kind == ExternKind::kFunction;
  };
  if (std::none_of(info->exports.begin(), info->exports.end(), is_start)) {
    return Fail(Code::kInvalidArgument,
                "the module exports no function _start, so it is no WASI command; link it as a "
                "program, not as a library");
  }
  const uint64_t memory = info->MinimumMemoryBytes();
  if (memory > limits.memory_bytes) {
    return Fail(Code::kInvalidArgument,
                "the module starts with " + FormatSize(memory) + " of memory, over its limit of " +
                    FormatSize(limits.memory_bytes) + "; raise limits.memory in its manifest");
  }
  return {};
}

}  // namespace hybridserve
