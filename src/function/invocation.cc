#include "function/invocation.h"

namespace hybridserve {

std::string_view BackendName(Backend backend) {
  return backend == Backend::kWasm ? "wasm" : "container";
}

std::string_view StartName(StartKind start) { return start == StartKind::kCold ? "cold" : "warm"; }

}  // namespace hybridserve
