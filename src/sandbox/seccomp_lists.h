// SeccompLists: the system calls each filter allows, by name, and the rules on their arguments.
//
// Thread rule: constants.
#pragma once

#include <seccomp.h>

#include <span>
#include <vector>

#include "sandbox/seccomp.h"

namespace hybridserve::sandbox {

/// A call that is allowed only with these arguments (all of them must match).
struct ArgumentRule {
  const char* name;
  std::vector<scmp_arg_cmp> arguments;
};

/// Calls allowed whatever their arguments. A name this architecture lacks is skipped.
std::vector<std::span<const char* const>> AllowedCalls(Filter filter);
std::vector<ArgumentRule> AllowedWithArguments(Filter filter);

}  // namespace hybridserve::sandbox
