#include "router/route_header.h"

#include <gtest/gtest.h>

#include <variant>

namespace hybridserve {
namespace {

struct Case {
  std::string name;
  std::vector<Header> headers;
  RouteHeader allowed;
  std::variant<std::optional<PolicyKind>, Code> want;
};

class RouteHeaderTest : public testing::TestWithParam<Case> {};

TEST_P(RouteHeaderTest, IsReadAsTheTableSays) {
  RequestHead head;
  head.headers = GetParam().headers;
  const auto got = RequestedPolicy(head, GetParam().allowed);
  if (const Code* code = std::get_if<Code>(&GetParam().want)) {
    ASSERT_FALSE(got);
    EXPECT_EQ(got.error().code, *code) << got.error().message;
    return;
  }
  ASSERT_TRUE(got) << got.error().message;
  EXPECT_EQ(*got, std::get<std::optional<PolicyKind>>(GetParam().want));
}

constexpr auto kAllowed = RouteHeader::kAllowed;

INSTANTIATE_TEST_SUITE_P(
    Router, RouteHeaderTest,
    testing::Values(
        Case{"Absent", {{"Host", "a"}}, kAllowed, std::optional<PolicyKind>()},
        Case{"AbsentWhereForbidden", {}, RouteHeader::kForbidden, std::optional<PolicyKind>()},
        Case{"Paper", {{"HybridServe-Route", "paper"}}, kAllowed, PolicyKind::kPaper},
        Case{
            "NameInAnyCase", {{"hYBRIDsERVE-route", "wasm-only"}}, kAllowed, PolicyKind::kWasmOnly},
        Case{"ContainerOnly",
             {{"HybridServe-Route", "container-only"}},
             kAllowed,
             PolicyKind::kContainerOnly},
        Case{"OtherNameOfTheSameLength",
             {{"HybridServe-Rout3", "paper"}},
             kAllowed,
             std::optional<PolicyKind>()},
        Case{"Forbidden",
             {{"HybridServe-Route", "paper"}},
             RouteHeader::kForbidden,
             Code::kForbidden},
        Case{"UnknownPolicy", {{"HybridServe-Route", "fastest"}}, kAllowed, Code::kInvalidArgument},
        Case{"Empty", {{"HybridServe-Route", ""}}, kAllowed, Code::kInvalidArgument},
        Case{"Twice",
             {{"HybridServe-Route", "paper"}, {"hybridserve-route", "paper"}},
             kAllowed,
             Code::kInvalidArgument}),
    [](const auto& row) { return row.param.name; });

}  // namespace
}  // namespace hybridserve
