#include "server/container_spec.h"

#include "base/log.h"
#include "container/image/image_config.h"
#include "container/warm_pool.h"

namespace hybridserve {

ContainerSpec MakeContainerSpec(const Deployed& function) {
  ContainerSpec spec = SpecFromManifest(function);
  const auto image = ParseImageConfig(function.image_config);
  if (!image) {
    // It was checked when it was stored. Without it the start fails, and says that there is no
    // program to run.
    spdlog::error("{}: {}", ContainerLabel(function), image.error().message);
    return spec;
  }
  spec.sandbox.argv = image->Argv(spec.sandbox.argv);
  // insert keeps what the function says itself.
  spec.sandbox.environment.insert(image->environment.begin(), image->environment.end());
  spec.sandbox.working_folder = image->working_folder;
  spec.sandbox.uid = image->uid;
  spec.sandbox.gid = image->gid;
  return spec;
}

}  // namespace hybridserve
