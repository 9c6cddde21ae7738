// ContainerdRuntime: containerd, over its gRPC socket, in a namespace of its own.
//
// containerd keeps no image and no snapshot here: the root file system is mounted where its shim
// sees it, and the shim runs it by the runtime that containerd is configured with. A container is
// named by its label after a crash, whichever side crashed.
//
// Its shim is in the mount namespace of the daemon, which this process therefore joins.
//
// Thread rule: the event loop's thread only.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "container/agent/bundle/bundle_runtime.h"
#include "container/agent/containerd/client.h"

namespace hybridserve {

class ContainerdRuntime : public BundleRuntime {
 public:
  /// `socket` is the daemon's. Nothing is asked of it before Open.
  ContainerdRuntime(boost::asio::any_io_executor executor, std::filesystem::path socket);

  Awaitable<std::string> Open() override;
  Awaitable<std::vector<std::string>> List(std::string prefix) override;
  Awaitable<pid_t> Create(Bundle bundle) override;
  Awaitable<> Start(std::string name) override;
  Awaitable<int> ExitStatus(std::string name, int pidfd) override;
  Awaitable<> Delete(std::string name) override;

 private:
  boost::asio::any_io_executor executor_;
  std::filesystem::path socket_;
  bool joined_ = false;
  std::optional<ContainerdClient> client_;  // Its threads would keep this process from joining.
};

}  // namespace hybridserve
