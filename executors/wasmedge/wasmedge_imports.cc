#include "executors/wasmedge/wasmedge_imports.h"

#include <array>
#include <vector>

#include "executors/common/wasi.h"
#include "executors/wasmedge/guest_thread.h"

namespace hybridserve {
namespace {

// The guest's first memory, which a command exports as "memory".
GuestMemory MemoryOf(const WasmEdge_CallingFrameContext* frame) {
  WasmEdge_MemoryInstanceContext* memory = WasmEdge_CallingFrameGetMemoryInstance(frame, 0);
  if (memory == nullptr) return {};
  return {WasmEdge_MemoryInstanceGetPointer(memory, 0, 0),
          uint64_t{WasmEdge_MemoryInstanceGetPageSize(memory)} << 16};
}

// Calls the host function that `data` names with the guest's arguments.
WasmEdge_Result CallHost(void* data, const WasmEdge_CallingFrameContext* frame,
                         const WasmEdge_Value* values, WasmEdge_Value* results) {
  const auto& function = *static_cast<const wasi::HostFunction*>(data);
  GuestRun& run = *CurrentGuestRun();
  run.in_host = true;
  uint32_t result = wasi::kStop;
  if (!run.ending) {
    std::array<uint64_t, wasi::kMaxParameters> arguments;
    for (size_t i = 0; i < function.parameters.size(); ++i) {
      arguments[i] = function.parameters[i] == 'I'
                         ? static_cast<uint64_t>(WasmEdge_ValueGetI64(values[i]))
                         : static_cast<uint32_t>(WasmEdge_ValueGetI32(values[i]));
    }
    result = (run.wasi->*function.call)(MemoryOf(frame), arguments.data());
  }
  run.in_host = false;
  if (result == wasi::kStop || run.ending) return WasmEdge_Result_Terminate;
  if (function.returns) results[0] = WasmEdge_ValueGenI32(static_cast<int32_t>(result));
  return WasmEdge_Result_Success;
}

}  // namespace

WasmEdgeInstance MakeWasmEdgeImports() {
  WasmEdgeInstance instance(WasmEdge_ModuleInstanceCreate(ToWasmEdge(wasi::kModuleName)));
  for (const wasi::HostFunction& function : wasi::HostFunctions()) {
    std::vector<WasmEdge_ValType> parameters;
    for (const char letter : function.parameters) {
      parameters.push_back(letter == 'I' ? WasmEdge_ValTypeGenI64() : WasmEdge_ValTypeGenI32());
    }
    const WasmEdge_ValType result = WasmEdge_ValTypeGenI32();
    const WasmEdgeFuncType type(WasmEdge_FunctionTypeCreate(
        parameters.data(), static_cast<uint32_t>(parameters.size()), &result,
        function.returns ? 1 : 0));
    WasmEdge_FunctionInstanceContext* made = WasmEdge_FunctionInstanceCreate(
        type.get(), CallHost, const_cast<void*>(static_cast<const void*>(&function)), 0);
    if (made == nullptr) return nullptr;
    WasmEdge_ModuleInstanceAddFunction(instance.get(), ToWasmEdge(function.name), made);
  }
  return instance;
}

}  // namespace hybridserve
