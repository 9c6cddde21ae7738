// Owners of what the functions of shim.h return.
//
// Thread rule: plain values.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/deleter.h"
#include "executors/wasmer/shim.h"

namespace hybridserve {

using WasmerText = std::unique_ptr<char, Deleter<hybridserve_wasmer_text_free>>;
using WasmerModulePtr =
    std::unique_ptr<hybridserve_wasmer_module, Deleter<hybridserve_wasmer_module_delete>>;
using WasmerStorePtr =
    std::unique_ptr<hybridserve_wasmer_store, Deleter<hybridserve_wasmer_store_delete>>;

inline hybridserve_wasmer_view View(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace hybridserve
