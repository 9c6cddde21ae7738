#include <cstddef>
#include <cstdint>

#include "wasm/executor_protocol.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  (void)hybridserve::DecodeInvoke(bytes);
  (void)hybridserve::DecodeOutcome(bytes);
  (void)hybridserve::DecodeControl(bytes);
  if (const auto load = hybridserve::DecodeLoad(bytes)) (void)hybridserve::EncodeLoad(*load);
  return 0;
}
