// Owners of what the functions of shim.h return.
//
// Thread rule: plain values.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "executors/wasmer/shim.h"

namespace hybridserve {

template <auto kDelete>
struct WasmerDeleter {
  template <typename T>
  void operator()(T* owned) const {
    kDelete(owned);
  }
};

using WasmerText = std::unique_ptr<char, WasmerDeleter<hybridserve_wasmer_text_free>>;
using WasmerModulePtr =
    std::unique_ptr<hybridserve_wasmer_module, WasmerDeleter<hybridserve_wasmer_module_delete>>;
using WasmerStorePtr =
    std::unique_ptr<hybridserve_wasmer_store, WasmerDeleter<hybridserve_wasmer_store_delete>>;

inline hybridserve_wasmer_view View(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace hybridserve
