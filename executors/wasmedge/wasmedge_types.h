// Owners of the C API's objects.
//
// Thread rule: like the objects they own.
#pragma once

#include <wasmedge/wasmedge.h>

#include <memory>
#include <string>
#include <string_view>

#include "base/deleter.h"

namespace hybridserve {

template <typename T, auto kDelete>
using WasmEdgePtr = std::unique_ptr<T, Deleter<kDelete>>;

using WasmEdgeConfig = WasmEdgePtr<WasmEdge_ConfigureContext, WasmEdge_ConfigureDelete>;
using WasmEdgeCompiler = WasmEdgePtr<WasmEdge_CompilerContext, WasmEdge_CompilerDelete>;
using WasmEdgeLoader = WasmEdgePtr<WasmEdge_LoaderContext, WasmEdge_LoaderDelete>;
using WasmEdgeValidator = WasmEdgePtr<WasmEdge_ValidatorContext, WasmEdge_ValidatorDelete>;
using WasmEdgeAst = WasmEdgePtr<WasmEdge_ASTModuleContext, WasmEdge_ASTModuleDelete>;
using WasmEdgeExecutor = WasmEdgePtr<WasmEdge_ExecutorContext, WasmEdge_ExecutorDelete>;
using WasmEdgeStore = WasmEdgePtr<WasmEdge_StoreContext, WasmEdge_StoreDelete>;
using WasmEdgeInstance = WasmEdgePtr<WasmEdge_ModuleInstanceContext, WasmEdge_ModuleInstanceDelete>;
using WasmEdgeFuncType = WasmEdgePtr<WasmEdge_FunctionTypeContext, WasmEdge_FunctionTypeDelete>;
using WasmEdgeAsync = WasmEdgePtr<WasmEdge_Async, WasmEdge_AsyncDelete>;

/// A view, valid while `text` is.
inline WasmEdge_String ToWasmEdge(std::string_view text) {
  return WasmEdge_StringWrap(text.data(), static_cast<uint32_t>(text.size()));
}
inline std::string_view FromWasmEdge(WasmEdge_String text) { return {text.Buf, text.Length}; }
/// "wasm trap: ..."; a call stack that was exhausted is no result of its own.
inline std::string DescribeTrap(WasmEdge_Result result, bool stack_exhausted) {
  return std::string("wasm trap: ") +
         (stack_exhausted ? "call stack exhausted" : WasmEdge_ResultGetMessage(result));
}
inline WasmEdge_Bytes ToWasmEdgeBytes(std::string_view bytes) {
  return {static_cast<uint32_t>(bytes.size()), reinterpret_cast<const uint8_t*>(bytes.data())};
}

}  // namespace hybridserve
