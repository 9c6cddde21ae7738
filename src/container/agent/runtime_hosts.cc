#include "container/agent/runtime_hosts.h"

#include <filesystem>
#include <string>
#include <utility>

#include "container/agent/agent_host.h"
#include "container/agent/bundle/bundle_maker.h"
#include "container/agent/docker/docker_maker.h"
#include "container/agent/oci/oci_runtime.h"
#ifdef HS_HAS_CONTAINERD
#include "container/agent/containerd/containerd_runtime.h"
#endif

namespace hybridserve {
namespace {

using boost::asio::any_io_executor;
using Kind = ContainerRuntimeKind;

std::unique_ptr<BundleRuntime> MakeOci(const any_io_executor& executor, Kind kind,
                                       const RuntimeHostOptions& options) {
  const auto program = kind == Kind::kRunc ? OciRuntime::Program::kRunc : OciRuntime::Program::kCrun;
  return std::make_unique<OciRuntime>(executor, program, options.runtime, options.folder / "state");
}

}  // namespace

Result<std::unique_ptr<RuntimeHost>> MakeRuntimeHost(any_io_executor executor, Kind kind,
                                                     RuntimeHostOptions options) {
  const uint32_t held = options.held;
  if (kind == Kind::kDocker) {
    auto maker = std::make_unique<DockerMaker>(executor, std::move(options));
    return std::make_unique<AgentHost>(std::move(executor), std::move(maker), held);
  }
  std::unique_ptr<BundleRuntime> bundles;
  switch (kind) {
    case Kind::kRunc:
    case Kind::kCrun:
      bundles = MakeOci(executor, kind, options);
      break;
#ifdef HS_HAS_CONTAINERD
    case Kind::kContainerd:
      bundles = std::make_unique<ContainerdRuntime>(executor, options.runtime);
      break;
#endif
    default:
      return Fail(Code::kUnsupported,
                  "this build has no agent for " + std::string(ContainerRuntimeName(kind)));
  }
  auto maker = std::make_unique<BundleMaker>(executor, std::move(bundles), std::move(options));
  return std::make_unique<AgentHost>(std::move(executor), std::move(maker), held);
}

}  // namespace hybridserve
