#include "policy/policy.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <variant>

namespace hybridserve {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const PolicyTime kNow = PolicyTime(seconds(1000));

constexpr Policy kPaper{PolicyKind::kPaper};
constexpr Policy kWasmOnly{PolicyKind::kWasmOnly};
constexpr Policy kContainerOnly{PolicyKind::kContainerOnly};

constexpr Policy ByHeader(PolicyKind kind) { return {.kind = kind, .from_request = true}; }

// A function with both builds and no container yet, changed by `change`.
template <typename Change>
FunctionState Both(Change change) {
  FunctionState state{.has_wasm = true, .has_container = true, .max_containers = 2};
  change(state);
  return state;
}
FunctionState Both() {
  return Both([](FunctionState&) {});
}
FunctionState Only(bool wasm) {
  return Both([wasm](FunctionState& f) { (wasm ? f.has_container : f.has_wasm) = false; });
}
FunctionState Failed(uint32_t failures, PolicyTime when) {
  return Both([=](FunctionState& f) {
    f.failures_in_row = failures;
    f.last_failure = when;
  });
}

struct Want {
  Backend backend;
  Reason reason;
  bool prepare;
};
struct Case {
  std::string name;
  Policy policy;
  FunctionState function;
  NodeState node;
  std::variant<Want, Code> want;
};

class DecideTest : public testing::TestWithParam<Case> {};

TEST_P(DecideTest, ChoosesAsTheTableSays) {
  const Case& c = GetParam();
  const Result<Decision> got = Decide(c.policy, c.function, c.node, kNow);
  if (const Code* code = std::get_if<Code>(&c.want)) {
    ASSERT_FALSE(got);
    EXPECT_EQ(got.error().code, *code) << got.error().message;
    EXPECT_FALSE(got.error().message.empty());
    return;
  }
  ASSERT_TRUE(got) << got.error().message;
  const Want want = std::get<Want>(c.want);
  EXPECT_EQ(BackendName(got->backend), BackendName(want.backend));
  EXPECT_EQ(ReasonName(got->reason), ReasonName(want.reason));
  EXPECT_EQ(got->prepare, want.prepare);
}

constexpr Backend kW = Backend::kWasm;
constexpr Backend kC = Backend::kContainer;

INSTANTIATE_TEST_SUITE_P(
    Paper, DecideTest,
    testing::Values(
        Case{"FirstRequestGoesToWasmAndPreparesAContainer",
             kPaper,
             Both(),
             {},
             Want{kW, Reason::kNoWarmContainer, true}},
        Case{"SecondRequestPreparesNoOther",
             kPaper,
             Both([](auto& f) { f.starting = 1; }),
             {.containers = 1, .starting = 1},
             Want{kW, Reason::kNoWarmContainer, false}},
        Case{"WarmContainerWithAFreeSlotTakesIt",
             kPaper,
             Both([](auto& f) { f.ready = 1, f.free_slots = 1; }),
             {},
             Want{kC, Reason::kWarmContainer, false}},
        Case{"BusyContainerSpillsToWasmAndPreparesTheNext",
             kPaper,
             Both([](auto& f) { f.ready = 1; }),
             {.containers = 1},
             Want{kW, Reason::kContainerBusy, true}},
        Case{"AtMaxContainersNothingIsPrepared",
             kPaper,
             Both([](auto& f) { f.ready = 2; }),
             {.containers = 2},
             Want{kW, Reason::kContainerBusy, false}},
        Case{"FullNodePreparesNothing",
             kPaper,
             Both(),
             {.containers = 64},
             Want{kW, Reason::kNoWarmContainer, false}},
        Case{"TakenBootSlotsPrepareNothing",
             kPaper,
             Both(),
             {.starting = 1},
             Want{kW, Reason::kNoWarmContainer, false}},
        Case{"SeveralBootSlotsAllowSeveralStarts",
             kPaper,
             Both(),
             {.starting = 1, .max_starting = 2},
             Want{kW, Reason::kNoWarmContainer, true}},
        Case{"FailedStartBacksOff",
             kPaper,
             Failed(1, kNow - milliseconds(999)),
             {},
             Want{kW, Reason::kContainerFailing, false}},
        Case{"AfterTheBackoffItTriesAgain",
             kPaper,
             Failed(1, kNow - seconds(1)),
             {},
             Want{kW, Reason::kNoWarmContainer, true}},
        Case{"ThirdFailureWaitsFourSeconds",
             kPaper,
             Failed(3, kNow - seconds(3)),
             {},
             Want{kW, Reason::kContainerFailing, false}},
        Case{"NoModuleWaitsForAContainer",
             kPaper,
             Only(false),
             {},
             Want{kC, Reason::kNoWasmBuild, true}},
        Case{"NoImageStaysOnWasm",
             kPaper,
             Only(true),
             {},
             Want{kW, Reason::kNoContainerBuild, false}},
        Case{"ZeroMaxContainersStaysOnWasm",
             kPaper,
             Both([](auto& f) { f.max_containers = 0; }),
             {},
             Want{kW, Reason::kNoContainerBuild, false}},
        Case{"NodeWithoutContainersStaysOnWasm",
             kPaper,
             Both(),
             {.runs_containers = false},
             Want{kW, Reason::kNoContainerRuntime, false}},
        Case{"NodeWithoutWasmWaitsForAContainer",
             kPaper,
             Both(),
             {.runs_wasm = false},
             Want{kC, Reason::kNoWasmRuntime, true}},
        Case{"NothingRunsIt", kPaper, Only(false), {.runs_containers = false}, Code::kUnsupported}),
    [](const auto& row) { return row.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Baselines, DecideTest,
    testing::Values(
        Case{"WasmOnlyIgnoresAWarmContainer",
             kWasmOnly,
             Both([](auto& f) { f.ready = 1, f.free_slots = 1; }),
             {},
             Want{kW, Reason::kPolicyWasmOnly, false}},
        Case{"WasmOnlyWithoutAModuleIsAnError", kWasmOnly, Only(false), {}, Code::kUnsupported},
        Case{"ContainerOnlyNeverUsesWasm",
             kContainerOnly,
             Both(),
             {},
             Want{kC, Reason::kPolicyContainerOnly, true}},
        Case{"ContainerOnlyWithAFreeSlotPreparesNothing",
             kContainerOnly,
             Both([](auto& f) { f.ready = 1, f.free_slots = 1; }),
             {},
             Want{kC, Reason::kPolicyContainerOnly, false}},
        Case{"ContainerOnlyWithoutAnImageIsAnError",
             kContainerOnly,
             Only(true),
             {},
             Code::kUnsupported},
        Case{"ContainerOnlyOnAWasmNodeIsAnError",
             kContainerOnly,
             Both(),
             {.runs_containers = false},
             Code::kUnsupported},
        Case{"HeaderIsNamedAsTheReason",
             ByHeader(PolicyKind::kWasmOnly),
             Both(),
             {},
             Want{kW, Reason::kRouteHeader, false}},
        Case{"HeaderForAContainerIsNamedToo",
             ByHeader(PolicyKind::kContainerOnly),
             Both(),
             {},
             Want{kC, Reason::kRouteHeader, true}},
        Case{"HeaderForPaperDecidesAsPaper",
             ByHeader(PolicyKind::kPaper),
             Both(),
             {},
             Want{kW, Reason::kNoWarmContainer, true}},
        Case{"HeaderForALackingBuildIsTheClientsError",
             ByHeader(PolicyKind::kWasmOnly),
             Only(false),
             {},
             Code::kInvalidArgument}),
    [](const auto& row) { return row.param.name; });

TEST(Backoff, DoublesFromOneSecondUpToFiveMinutes) {
  EXPECT_EQ(Backoff(0), seconds(0));
  EXPECT_EQ(Backoff(1), seconds(1));
  EXPECT_EQ(Backoff(2), seconds(2));
  EXPECT_EQ(Backoff(9), seconds(256));
  EXPECT_EQ(Backoff(10), seconds(300));
  EXPECT_EQ(Backoff(4'000'000'000u), seconds(300));
}

TEST(Reason, EveryOneHasAKebabCaseWordOfItsOwn) {
  std::set<std::string_view> seen;
  for (int i = 0; i <= static_cast<int>(Reason::kRouteHeader); ++i) {
    const std::string_view word = ReasonName(static_cast<Reason>(i));
    EXPECT_NE(word, "unknown");
    EXPECT_EQ(word.find_first_not_of("abcdefghijklmnopqrstuvwxyz-"), std::string_view::npos);
    EXPECT_TRUE(seen.insert(word).second) << word;
  }
}

}  // namespace
}  // namespace hybridserve
