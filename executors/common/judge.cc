#include "executors/common/judge.h"

namespace hybridserve {

std::optional<OutcomeKind> EndOf(const Guard& guard) {
  switch (guard.Check()) {
    case Stop::kCancelled:
      return OutcomeKind::kCancelled;
    case Stop::kDeadline:
      return OutcomeKind::kDeadline;
    case Stop::kNo:
      break;
  }
  return std::nullopt;
}

RunResult ExitedWith(uint32_t status) {
  if (status == 0) return {.kind = OutcomeKind::kDone};
  return {.kind = OutcomeKind::kExit, .exit_status = status};
}

RunResult Judge(const wasi::Wasi& wasi, bool failed, bool refused,
                const std::function<std::string()>& describe) {
  if (wasi.stop_reason() == wasi::StopReason::kExit) {
    RunResult result = ExitedWith(wasi.exit_code());
    if (refused && result.kind == OutcomeKind::kExit) result.kind = OutcomeKind::kMemoryLimit;
    return result;
  }
  if (wasi.stop_reason() == wasi::StopReason::kOutputLimit) {
    return {.kind = OutcomeKind::kOutputLimit};
  }
  if (!failed) return {.kind = OutcomeKind::kDone};
  if (const auto end = EndOf(wasi.guard())) return {.kind = *end};
  return {.kind = refused ? OutcomeKind::kMemoryLimit : OutcomeKind::kTrap, .message = describe()};
}

}  // namespace hybridserve
