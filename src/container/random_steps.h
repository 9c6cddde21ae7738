// What the property tests of the pool, the router and the slots have in common: random steps, limits
// of a pool, what containers run, and the time that passes.
//
// Thread rule: one thread.
#pragma once

#include <rapidcheck.h>

#include <algorithm>
#include <chrono>
#include <ostream>
#include <utility>
#include <vector>

#include "container/fake/fake_runtime.h"
#include "container/pool.h"
#include "container/test_loop.h"

namespace hybridserve {

/// One event; `Kind` is an enum without gaps.
template <typename Kind>
struct RandomStep {
  Kind kind;
  uint32_t which;  ///< The function, slot or container, modulo how many there are; below 60.
};

template <typename Kind>
std::ostream& operator<<(std::ostream& out, const RandomStep<Kind>& step) {
  return out << static_cast<int>(step.kind) << "/" << step.which;
}

/// Any number of events of the first `kinds` kinds.
template <typename Kind>
rc::Gen<std::vector<RandomStep<Kind>>> RandomSteps(int kinds) {
  const auto step =
      rc::gen::map(rc::gen::pair(rc::gen::inRange(0, kinds), rc::gen::inRange<uint32_t>(0, 60)),
                   [](const std::pair<int, uint32_t>& pair) {
                     return RandomStep<Kind>{static_cast<Kind>(pair.first), pair.second};
                   });
  return rc::gen::container<std::vector<RandomStep<Kind>>>(step);
}

inline PoolOptions RandomPoolOptions() {
  PoolOptions options;
  options.boots = *rc::gen::inRange<uint32_t>(1, 3);
  options.max_containers = *rc::gen::inRange<uint32_t>(1, 5);
  options.memory_bytes = *rc::gen::element<uint64_t>(0, 4 << 20, 8 << 20);
  return options;
}

/// Of the ways in which containers start, kPrograms; the last is the good one.
constexpr uint32_t kPrograms = 5;
constexpr uint32_t kGoodProgram = kPrograms - 1;

/// Gives the next containers a program that listens late, never, or ends before; or none at all.
inline void ChooseProgram(uint32_t which, FakeRuntime& runtime, FakeProgram& program) {
  program = {};
  runtime.start_error.reset();
  switch (which) {
    case 0:
      program.listens_after = std::chrono::milliseconds(20);
      break;
    case 1:
      program.listens_after.reset();
      break;
    case 2:
      program.listens_after.reset();
      program.exits_after = std::chrono::milliseconds(5);
      program.exit_status = 1;
      break;
    case 3:
      runtime.start_error = Error{Code::kInvalidArgument, "no program"};
      break;
    default:
      break;
  }
}

/// Lets the time pass in small steps, and runs the loop and then `each` after every one.
template <typename Each>
void PassTime(std::chrono::steady_clock::duration by, ManualClock& clock, TestLoop& loop,
              Each each) {
  constexpr std::chrono::steady_clock::duration kStep = std::chrono::milliseconds(5);
  while (by > by.zero()) {
    const auto step = std::min(by, kStep);
    clock.Advance(step);
    loop.Settle();
    each();
    by -= step;
  }
}

}  // namespace hybridserve
