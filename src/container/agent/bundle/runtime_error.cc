#include "container/agent/bundle/runtime_error.h"

#include <algorithm>
#include <iterator>

namespace hybridserve {
namespace {

// runc 1.1 and crun 1.8, of execve and of looking for the program.
constexpr std::string_view kCannotRun[] = {
    "executable file", "exec: ", "exec format error", "chdir to cwd", "open executable",
};

}  // namespace

Code CodeOfRuntimeError(std::string_view message) {
  const bool cannot_run =
      std::any_of(std::begin(kCannotRun), std::end(kCannotRun), [message](std::string_view words) {
        return message.find(words) != std::string_view::npos;
      });
  return cannot_run ? Code::kInvalidArgument : Code::kInternal;
}

}  // namespace hybridserve
