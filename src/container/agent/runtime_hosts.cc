#include "container/agent/runtime_hosts.h"

#include <string>

namespace hybridserve {

Result<std::unique_ptr<RuntimeHost>> MakeRuntimeHost(boost::asio::any_io_executor executor,
                                                     ContainerRuntimeKind kind,
                                                     RuntimeHostOptions options) {
  (void)executor;
  (void)options;
  switch (kind) {
    default:
      return Fail(Code::kUnsupported,
                  "this build has no agent for " + std::string(ContainerRuntimeName(kind)));
  }
}

}  // namespace hybridserve
