// How a run ended, judged the same way for every engine: from what its Wasi and Guard say and
// whether the engine's call failed.
//
// Thread rule: the thread that ran the invocation.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "executors/common/engine.h"

namespace hybridserve {

/// kCancelled or kDeadline when the guest has to end now.
std::optional<OutcomeKind> EndOf(const Guard& guard);

/// The guest's own end by an exit status: kDone or kExit.
RunResult ExitedWith(uint32_t status);

/// `failed`: the engine's call did not return as a function does. `refused`: the guest asked for
/// more memory than its limit and did not get it. `describe` gives the engine's words for a failure
/// that is neither an exit nor an end from outside; it is called for nothing else.
RunResult Judge(const wasi::Wasi& wasi, bool failed, bool refused,
                const std::function<std::string()>& describe);

}  // namespace hybridserve
