#include <cstddef>
#include <cstdint>

#include "wasm/module_info.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto info = hybridserve::ReadModuleInfo({reinterpret_cast<const char*>(data), size});
  if (info) (void)hybridserve::CheckCommand(*info, "wasi_snapshot_preview1", {"fd_write"}, 1 << 20);
  return 0;
}
