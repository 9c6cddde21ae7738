#include "server/container_spec.h"

#include <gtest/gtest.h>

#include "container/image/image_config.h"

namespace hybridserve {
namespace {

Deployed FunctionWith(const ImageConfig& image) {
  Deployed function;
  function.manifest.name = FunctionName{"hello"};
  function.manifest.container = ContainerBuild{};
  function.image_config = ImageConfigToJson(image);
  return function;
}

TEST(ContainerSpec, ImageNamesProgramFolderAndUser) {
  ImageConfig image;
  image.entrypoint = {"/init"};
  image.command = {"/function"};
  image.working_folder = "/app";
  image.uid = 1000;
  const ContainerSpec spec = MakeContainerSpec(FunctionWith(image));
  EXPECT_EQ(spec.sandbox.argv, (std::vector<std::string>{"/init", "/function"}));
  EXPECT_EQ(spec.sandbox.working_folder, "/app");
  EXPECT_EQ(spec.sandbox.uid, 1000u);
  EXPECT_EQ(spec.sandbox.name, "hello");
}

TEST(ContainerSpec, ManifestsCommandAndVariablesWin) {
  ImageConfig image;
  image.entrypoint = {"/init"};
  image.environment = {{"A", "image"}, {"B", "image"}};
  Deployed function = FunctionWith(image);
  function.manifest.container->command = {"/other", "word"};
  function.environment = {{"A", "function"}};
  const ContainerSpec spec = MakeContainerSpec(function);
  EXPECT_EQ(spec.sandbox.argv, (std::vector<std::string>{"/other", "word"}));
  EXPECT_EQ(spec.sandbox.environment.at("A"), "function");
  EXPECT_EQ(spec.sandbox.environment.at("B"), "image");
}

}  // namespace
}  // namespace hybridserve
