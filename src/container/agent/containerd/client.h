// ContainerdClient: what the agent asks of containerd, over its gRPC socket.
//
// The types of gRPC stay in client.cc. Every call has a time limit of its own and is tried once: a
// daemon that is away makes it fail with kUnavailable, and the next call connects again.
//
// Source: containerd's API, version 1 (api/services/{containers,tasks,namespaces,version}/v1).
//
// Thread rule: the executor's thread only. One thread of its own takes what gRPC has ready.
#pragma once

#include <sys/types.h>

#include <boost/asio/any_io_executor.hpp>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/awaitable.h"

namespace hybridserve {

struct ContainerdContainer {
  std::string id;  ///< [A-Za-z0-9]+([-_.][A-Za-z0-9]+)*, at most 76 characters.
  std::map<std::string, std::string> labels;
};

class ContainerdClient {
 public:
  /// `name_space` is containerd's: what others keep in theirs is not seen.
  ContainerdClient(boost::asio::any_io_executor executor, std::filesystem::path socket,
                   std::string name_space);
  /// Calls under way end soon, with kCancelled.
  ~ContainerdClient();
  ContainerdClient(const ContainerdClient&) = delete;
  ContainerdClient& operator=(const ContainerdClient&) = delete;

  /// "1.6.20".
  Awaitable<std::string> Version();
  /// Idempotent.
  Awaitable<> MakeNamespace();

  /// `spec` is a runtime specification as JSON. Errors: kConflict there is one of this id.
  Awaitable<> CreateContainer(ContainerdContainer container, std::string spec);
  /// Errors: kNotFound; kConflict it has a task.
  Awaitable<> DeleteContainer(std::string id);
  Awaitable<std::vector<ContainerdContainer>> ListContainers();

  /// Makes the container's first process, which waits before its program. `log` is a named pipe for
  /// stdout and stderr; empty: none. Returns the process's id.
  /// Errors: kInvalidArgument the runtime cannot run the specification, with what it says.
  Awaitable<pid_t> CreateTask(std::string id, std::filesystem::path log);
  /// Runs the program. Errors: kInvalidArgument it cannot be run.
  Awaitable<> StartTask(std::string id);
  /// Ends once its first process has: 0..255, 128+N when signal N ended it. No time limit.
  Awaitable<int> WaitForTask(std::string id);
  /// SIGKILL to all of its processes. Errors: kNotFound it has ended.
  Awaitable<> KillTask(std::string id);
  /// Of one that has ended. Errors: kNotFound; kConflict it runs.
  Awaitable<> DeleteTask(std::string id);

  struct Impl;

 private:
  std::shared_ptr<Impl> impl_;  // Shared by: this object and calls under way.
};

}  // namespace hybridserve
