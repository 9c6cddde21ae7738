// WasmEdgeImports: our WASI preview 1, offered to WasmEdge's guests.
//
// Thread rule: once made, any thread; the host functions act on the run of the thread that calls
// them (guest_thread.h).
#pragma once

#include "executors/wasmedge/wasmedge_types.h"

namespace hybridserve {

/// A module instance of all wasi::HostFunctions(); nullptr: WasmEdge would not.
WasmEdgeInstance MakeWasmEdgeImports();

}  // namespace hybridserve
