// OciRuntime: runc and crun, by their command line.
//
// `create` makes a container's first process; its program is run by opening the pipe on which that
// process waits, which is what `start` does, four milliseconds sooner. Neither leaves a process
// behind that is not the container's.
//
// The runtime's process and its mounts are in a mount namespace of this process's, which takes the
// mounts with it when it ends. crun takes a machine with both cgroup versions for one of version 2:
// there the unified tree is not mounted.
//
// Source: OCI Runtime Specification 1.0.2, runtime.md; runc 1.1 (exec.fifo), crun 1.8.
//
// Thread rule: the event loop's thread only, of a process that has no other and is the reaper of
// its descendants (PR_SET_CHILD_SUBREAPER).
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "container/agent/bundle/bundle_runtime.h"

namespace hybridserve {

class OciRuntime : public BundleRuntime {
 public:
  enum class Program : uint8_t { kRunc, kCrun };

  /// `path` is the runtime's program; `state` its folder, made by it.
  OciRuntime(boost::asio::any_io_executor executor, Program program, std::filesystem::path path,
             std::filesystem::path state)
      : executor_(std::move(executor)),
        program_(program),
        path_(std::move(path)),
        state_(std::move(state)) {}

  Awaitable<std::string> Open() override;
  Awaitable<std::vector<std::string>> List(std::string prefix) override;
  Awaitable<pid_t> Create(Bundle bundle) override;
  Awaitable<> Start(std::string name) override;
  Awaitable<int> ExitStatus(std::string name, int pidfd) override;
  Awaitable<> Delete(std::string name) override;

 private:
  Awaitable<int> Run(std::vector<std::string> arguments, int output);
  Awaitable<> RunWell(std::vector<std::string> arguments, int output, std::filesystem::path errors);
  Awaitable<> ReadFifo(std::filesystem::path fifo);
  Result<> WriteFifo(const std::string& name, const std::filesystem::path& fifo);

  boost::asio::any_io_executor executor_;
  Program program_;
  std::filesystem::path path_;
  std::filesystem::path state_;
  bool own_mounts_ = false;
  bool hides_unified_ = false;
  // What crun's containers may still have to read from.
  std::map<std::string, UniqueFd> fifos_;
};

}  // namespace hybridserve
