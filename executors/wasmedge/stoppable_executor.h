// StoppableExecutor: an executor whose interpreter can be stopped from another thread.
//
// WasmEdge's interpreter is stopped through its executor, and only an asynchronous call has a
// handle that does it. So each executor has made one such call, of a host function that does
// nothing; its handle stops whatever the executor runs.
//
// Thread rule: Stop from any thread while the executor lives; all else from one.
#pragma once

#include <atomic>

#include "executors/wasmedge/wasmedge_types.h"

namespace hybridserve {

/// A host function that does nothing. Outlives the executors that have called it.
class NothingFunction {
 public:
  NothingFunction();
  [[nodiscard]] const WasmEdge_FunctionInstanceContext* get() const { return function_; }

 private:
  WasmEdgeInstance module_;  // Owns function_.
  WasmEdge_FunctionInstanceContext* function_;
};

class StoppableExecutor {
 public:
  StoppableExecutor(const WasmEdge_ConfigureContext* config, const NothingFunction& nothing);
  [[nodiscard]] WasmEdge_ExecutorContext* get() const { return executor_.get(); }
  /// What runs ends at its next branch or call. Not to be used afterwards.
  void Stop();
  [[nodiscard]] bool stopped() const { return stopped_; }

 private:
  WasmEdgeExecutor executor_;
  WasmEdgeAsync call_;
  std::atomic<bool> stopped_{false};
};

}  // namespace hybridserve
