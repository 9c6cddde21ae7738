// BundleRuntime: what differs between the container runtimes that are given a bundle: a folder with
// a mounted root file system and a runtime specification. BundleMaker does the rest.
//
// Thread rule: the event loop's thread only.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/awaitable.h"

namespace hybridserve {

struct Bundle {
  std::string name;              ///< Of the container: [a-z0-9-]{1,76}.
  std::filesystem::path folder;  ///< With config.json, the runtime specification.
  std::filesystem::path log;     ///< A named pipe for stdout and stderr.
};

class BundleRuntime {
 public:
  virtual ~BundleRuntime() = default;

  /// Makes the runtime ready, before anything is mounted: the caller's mount namespace may be
  /// another afterwards. Returns its name and version. Errors: kUnavailable it does not answer.
  virtual Awaitable<std::string> Open() = 0;
  /// The names of its containers that begin with `prefix`, running or not.
  virtual Awaitable<std::vector<std::string>> List(std::string prefix) = 0;

  /// Makes the container's first process, which waits before its program. Returns its id.
  /// Errors: kInvalidArgument the program cannot be run; kUnavailable.
  virtual Awaitable<pid_t> Create(Bundle bundle) = 0;
  /// Runs the program. Errors: as Create.
  virtual Awaitable<> Start(std::string name) = 0;
  /// Of a container whose first process has ended: its status, or 128+N when signal N ended it; 255
  /// when nobody can know any more. `pidfd` is that process's.
  virtual Awaitable<int> ExitStatus(std::string name, int pidfd) = 0;
  /// Forgets a container whose processes have ended, or that was never made. Idempotent.
  virtual Awaitable<> Delete(std::string name) = 0;
};

}  // namespace hybridserve
