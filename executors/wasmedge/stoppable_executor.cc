#include "executors/wasmedge/stoppable_executor.h"

namespace hybridserve {
namespace {

WasmEdge_Result DoNothing(void* /*data*/, const WasmEdge_CallingFrameContext* /*frame*/,
                          const WasmEdge_Value* /*values*/, WasmEdge_Value* /*results*/) {
  return WasmEdge_Result_Success;
}

}  // namespace

NothingFunction::NothingFunction()
    : module_(WasmEdge_ModuleInstanceCreate(ToWasmEdge("hybridserve"))) {
  const WasmEdgeFuncType type(WasmEdge_FunctionTypeCreate(nullptr, 0, nullptr, 0));
  function_ = WasmEdge_FunctionInstanceCreate(type.get(), DoNothing, nullptr, 0);
  WasmEdge_ModuleInstanceAddFunction(module_.get(), ToWasmEdge("nothing"), function_);
}

StoppableExecutor::StoppableExecutor(const WasmEdge_ConfigureContext* config,
                                     const NothingFunction& nothing)
    : executor_(WasmEdge_ExecutorCreate(config, nullptr)),
      call_(WasmEdge_ExecutorAsyncInvoke(executor_.get(), nothing.get(), nullptr, 0)) {
  WasmEdge_AsyncWait(call_.get());
}

void StoppableExecutor::Stop() {
  stopped_ = true;
  WasmEdge_AsyncCancel(call_.get());
}

}  // namespace hybridserve
