#include "launcher/runtime_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace hybridserve::launcher {
namespace {

using Kind = ContainerRuntimeKind;
using testing::HasSubstr;

RuntimeProbes Machine(std::set<Kind> has) {
  RuntimeProbes probes;
  probes.native = [has]() -> Result<> {
    if (has.contains(Kind::kNative)) return {};
    return Fail(Code::kUnsupported, "the node was not started as root");
  };
  probes.other = [has](Kind kind) -> Result<std::filesystem::path> {
    const std::string name(ContainerRuntimeName(kind));
    if (has.contains(kind)) return "/run/" + name;
    return Fail(Code::kUnsupported, "there is no " + name + " here");
  };
  return probes;
}

TEST(RuntimeChoice, WithoutANameTheFirstThatWorksIsTaken) {
  EXPECT_EQ(ChooseRuntime(Kind::kAuto, Machine({Kind::kNative, Kind::kDocker})).kind,
            Kind::kNative);
  const RuntimeChoice containerd =
      ChooseRuntime(Kind::kAuto, Machine({Kind::kContainerd, Kind::kDocker}));
  EXPECT_EQ(containerd.kind, Kind::kContainerd);
  EXPECT_EQ(containerd.address, "/run/containerd");
  EXPECT_THAT(containerd.why, HasSubstr("not native: the node was not started as root"));
  EXPECT_EQ(ChooseRuntime(Kind::kAuto, Machine({Kind::kDocker})).kind, Kind::kDocker);
}

TEST(RuntimeChoice, RuncAndCrunAreTakenOnlyByName) {
  EXPECT_EQ(ChooseRuntime(Kind::kAuto, Machine({Kind::kRunc, Kind::kCrun})).kind, Kind::kOff);
  EXPECT_EQ(ChooseRuntime(Kind::kCrun, Machine({Kind::kNative, Kind::kCrun})).kind, Kind::kCrun);
}

TEST(RuntimeChoice, WithoutAnyTheReasonNamesEachThatIsMissing) {
  const RuntimeChoice none = ChooseRuntime(Kind::kAuto, Machine({}));
  EXPECT_EQ(none.kind, Kind::kOff);
  for (const char* part : {"native: the node was not started as root",
                           "containerd: there is no containerd", "docker: there is no docker"}) {
    EXPECT_THAT(none.why, HasSubstr(part));
  }
}

TEST(RuntimeChoice, AConfiguredOneThatIsMissingIsNotReplaced) {
  const RuntimeChoice none = ChooseRuntime(Kind::kDocker, Machine({Kind::kNative}));
  EXPECT_EQ(none.kind, Kind::kOff);
  EXPECT_EQ(none.why, "docker is configured, but there is no docker here");
}

TEST(RuntimeChoice, SwitchedOffIsOff) {
  const RuntimeChoice off = ChooseRuntime(Kind::kOff, Machine({Kind::kNative}));
  EXPECT_EQ(off.kind, Kind::kOff);
  EXPECT_EQ(off.why, "they are switched off");
}

TEST(RuntimeChoice, EveryKindHasANameThatParses) {
  for (const auto& [name, kind] : ContainerRuntimeKinds()) {
    EXPECT_EQ(ContainerRuntimeName(kind), name);
    EXPECT_EQ(ParseContainerRuntime(name).value(), kind);
  }
  const auto unknown = ParseContainerRuntime("podman");
  ASSERT_FALSE(unknown);
  EXPECT_THAT(unknown.error().message, HasSubstr("'podman'"));
}

}  // namespace
}  // namespace hybridserve::launcher
