#include "telemetry/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace hybridserve {
namespace {

using testing::HasSubstr;
using testing::Not;

const FunctionName kHello{"hello"};

TEST(Metrics, AnInvocationIsCountedByFunctionBackendStartAndOutcome) {
  Metrics metrics;
  const Timing timing{Microseconds(10), Microseconds(60), Microseconds(2'000'000)};
  metrics.CountInvocation(*metrics.Of(kHello), Backend::kWasm, StartKind::kCold, Outcome::kOk,
                          timing, Microseconds(2'000'070));
  const std::string text = metrics.Serialize();
  EXPECT_THAT(text, HasSubstr("hybridserve_invocations_total{function=\"hello\",backend=\"wasm\","
                              "start=\"cold\",outcome=\"ok\"} 1"));
  EXPECT_THAT(
      text,
      HasSubstr("hybridserve_function_run_seconds_total{function=\"hello\",backend=\"wasm\"} 2"));
  EXPECT_THAT(text, HasSubstr("hybridserve_run_seconds_bucket{backend=\"wasm\",start=\"cold\","
                              "le=\"2.5\"} 1"));
  EXPECT_THAT(text, HasSubstr("hybridserve_start_seconds_bucket{backend=\"wasm\",start=\"cold\","
                              "le=\"5e-05\"} 0"));
  EXPECT_THAT(text, Not(HasSubstr("outcome=\"timeout\"")));
}

TEST(Metrics, OutboundRequestsAreCountedByFunctionAndResult) {
  Metrics metrics;
  Metrics::CountEgress(*metrics.Of(kHello), EgressResult::kForbidden);
  const std::string text = metrics.Serialize();
  EXPECT_THAT(text, HasSubstr("hybridserve_egress_requests_total{function=\"hello\",result="
                              "\"forbidden\"} 1"));
  EXPECT_THAT(text, Not(HasSubstr("result=\"ok\"")));
}

TEST(Metrics, RetriesAreCountedByFunctionAndByTheBackendThatDied) {
  Metrics metrics;
  Metrics::CountRetry(*metrics.Of(kHello), Backend::kWasm);
  const std::string text = metrics.Serialize();
  EXPECT_THAT(text, HasSubstr("hybridserve_retries_total{function=\"hello\",from=\"wasm\"} 1"));
  EXPECT_THAT(text, Not(HasSubstr("from=\"container\"")));
}

TEST(Metrics, SeriesOfARemovedFunctionEndAlthoughItsCountsAreStillHeld) {
  Metrics metrics;
  const FunctionCountsPtr counts = metrics.Of(kHello);
  metrics.Drop(kHello);
  metrics.CountInvocation(*counts, Backend::kWasm, StartKind::kWarm, Outcome::kOk, {}, {});
  EXPECT_THAT(metrics.Serialize(), Not(HasSubstr("hello")));
}

TEST(Metrics, AFunctionHasOneSetOfCounts) {
  Metrics metrics;
  EXPECT_EQ(metrics.Of(kHello), metrics.Of(kHello));
}

TEST(Metrics, BootsAndRefusalsAreCountedByTheirWords) {
  Metrics metrics;
  metrics.CountBoot("ready", Microseconds(8000));
  metrics.CountBoot("ready", Microseconds(8000));
  metrics.CountBoot("exited", Microseconds(100));
  metrics.CountRefused(431);
  const std::string text = metrics.Serialize();
  EXPECT_THAT(text, HasSubstr("hybridserve_boots_total{outcome=\"ready\"} 2"));
  EXPECT_THAT(text, HasSubstr("hybridserve_boots_total{outcome=\"exited\"} 1"));
  EXPECT_THAT(text, HasSubstr("hybridserve_boot_seconds_count 3"));
  EXPECT_THAT(text, HasSubstr("hybridserve_refused_total{status=\"431\"} 1"));
}

TEST(Metrics, LevelsAreAskedForWhenRead) {
  Metrics metrics;
  uint64_t queued = 3;
  metrics.OnCollect([&queued](Gauges& gauges) { gauges.queued += queued; });
  metrics.OnCollect([](Gauges& gauges) { gauges.queued += 1; });
  EXPECT_THAT(metrics.Serialize(), HasSubstr("hybridserve_queued 4"));
  queued = 0;
  EXPECT_THAT(metrics.Serialize(), HasSubstr("hybridserve_queued 1"));
}

TEST(Metrics, EveryCodeHasAnOutcomeAndEveryOutcomeAWordOfItsOwn) {
  std::set<std::string_view> words;
  for (size_t i = 0; i < kOutcomes; ++i) {
    EXPECT_TRUE(words.insert(OutcomeName(static_cast<Outcome>(i))).second);
  }
  EXPECT_EQ(OutcomeName(OutcomeOf(Code::kTooLarge)), "rejected");
  EXPECT_EQ(OutcomeName(OutcomeOf(Code::kQueueFull)), "queue_full");
  EXPECT_EQ(OutcomeName(OutcomeOf(Code::kCancelled)), "cancelled");
}

}  // namespace
}  // namespace hybridserve
