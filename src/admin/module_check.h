// The look at a module that costs nothing: whether the file is a whole WebAssembly command that
// fits its limits, before a compiler is started, or instead where it is only compiled at the first
// run.
//
// Thread rule: any thread; waits for the disk.
#pragma once

#include "base/result.h"
#include "function/manifest.h"

namespace hybridserve {

/// `module` is the open file. Errors: kInvalidArgument what is wrong with it and what to do;
/// kUnsupported a component.
Result<> CheckModuleFile(int module, const Limits& limits);

}  // namespace hybridserve
