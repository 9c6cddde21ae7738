// hybridserve-bench-client: latency of one kept-alive connection, every answer checked byte for
// byte; any wrong answer ends it with an error and no figures. With --seconds a load over many
// connections, in which every request is accounted for. Prints one JSON object.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "client/load.h"
#include "client/sampler.h"
#include "client/statistics.h"

namespace hybridserve::bench {
namespace {

using Json = nlohmann::ordered_json;

struct SideOptions {
  std::string target;
  pid_t netns_of = 0;
  std::string path = "/";
  std::string method = "GET";
  std::string body_file;
  std::string expected_file;
  std::vector<std::string> expected_headers;
};

struct Options {
  SideOptions measured;
  SideOptions against;
  uint32_t warm_ups = 0;
  uint32_t samples = 1;
  std::string admin;
  std::vector<std::string> conditions;
  uint32_t settle_ms = 0;
  uint32_t rotate = 1;
  std::vector<std::string> evicted;

  double seconds = 0;  // Above 0: a load.
  double rate = 0;
  uint32_t connections = 64;
  uint64_t seed = 1;
  bool uniform = false;
  uint32_t timeout_ms = 30000;
};

void AddSide(CLI::App& app, const std::string& prefix, SideOptions& side) {
  app.add_option("--" + prefix + "connect", side.target, "ADDRESS:PORT or unix:PATH");
  app.add_option("--" + prefix + "netns-of", side.netns_of,
                 "connect inside the network namespace of this process (root)");
  app.add_option("--" + prefix + "path", side.path, "request target");
  app.add_option("--" + prefix + "method", side.method, "request method");
  app.add_option("--" + prefix + "body", side.body_file, "file sent as the request's body");
  app.add_option("--" + prefix + "expect", side.expected_file,
                 "file with the body that every answer must have");
  app.add_option("--" + prefix + "expect-header", side.expected_headers,
                 "NAME:VALUE that every sample's answer must carry");
}

// `text` with the number `i` in the place of each "{}".
std::string Numbered(std::string text, uint32_t i) {
  const std::string number = std::to_string(i);
  for (size_t at = 0; (at = text.find("{}", at)) != std::string::npos; at += number.size()) {
    text.replace(at, 2, number);
  }
  return text;
}

Result<Side> MakeSide(const SideOptions& options, uint32_t rotate) {
  Side side;
  TRY_ASSIGN(side.target, ParseTarget(options.target));
  side.target.netns_of = options.netns_of;
  std::string body;
  if (!options.body_file.empty()) {
    TRY_ASSIGN(body, ReadFile(options.body_file));
  }
  TRY_ASSIGN(side.expected, ReadFile(options.expected_file));
  for (uint32_t i = 0; i < rotate; ++i) {
    const std::string path = Numbered(options.path, i);
    side.requests.push_back(MakeRequest(options.method, path, "bench", body));
  }
  for (const std::string& header : options.expected_headers) {
    const size_t colon = header.find(':');
    if (colon == std::string::npos) {
      return Fail(Code::kInvalidArgument, "'" + header + "' is not NAME:VALUE");
    }
    side.expected_headers.emplace_back(header.substr(0, colon), header.substr(colon + 1));
  }
  return side;
}

Result<Plan> MakePlan(const Options& options) {
  Plan plan;
  TRY_ASSIGN(plan.measured, MakeSide(options.measured, options.rotate));
  if (!options.against.target.empty()) {
    TRY_ASSIGN(plan.against, MakeSide(options.against, 1));
  }
  plan.warm_ups = options.warm_ups;
  plan.samples = options.samples;
  plan.settle = std::chrono::milliseconds(options.settle_ms);
  if (!options.admin.empty()) {
    TRY_ASSIGN(plan.admin, ParseTarget("unix:" + options.admin));
  }
  for (const std::string& text : options.conditions) {
    const uint32_t count = text.find("{}") == std::string::npos ? 1 : options.rotate;
    for (uint32_t i = 0; i < count; ++i) {
      TRY_ASSIGN(Condition condition, ParseCondition(Numbered(text, i)));
      plan.conditions.push_back(std::move(condition));
    }
  }
  plan.evicted.assign(options.evicted.begin(), options.evicted.end());
  return plan;
}

Json ToJson(const Spread& spread) {
  return Json{{"samples", spread.count}, {"min", spread.min},  {"p10", spread.p10},
              {"p50", spread.p50},       {"p90", spread.p90},  {"p99", spread.p99},
              {"max", spread.max},       {"mean", spread.mean}};
}

Json ToJson(const Times& times) {
  Json json;
  json["first_byte_ms"] = ToJson(SpreadOf(times.first_byte));
  json["last_byte_ms"] = ToJson(SpreadOf(times.last_byte));
  for (const auto& [word, durations] : times.server_timing) {
    json["server_timing_ms"][word] = ToJson(SpreadOf(durations));
  }
  return json;
}

Spread SpreadOfDifferences(std::vector<double> of, const std::vector<double>& minus) {
  for (size_t i = 0; i < of.size() && i < minus.size(); ++i) of[i] -= minus[i];
  return SpreadOf(std::move(of));
}

Json Report(const Plan& plan, const Outcome& outcome) {
  Json json = ToJson(outcome.measured);
  json["warm_ups"] = plan.warm_ups;
  if (plan.against) {
    json["against"] = ToJson(outcome.against);
    json["difference_first_byte_ms"] =
        ToJson(SpreadOfDifferences(outcome.measured.first_byte, outcome.against.first_byte));
    json["difference_last_byte_ms"] =
        ToJson(SpreadOfDifferences(outcome.measured.last_byte, outcome.against.last_byte));
  }
  if (!plan.evicted.empty()) json["pages_stayed"] = outcome.pages_stayed;
  return json;
}

Result<LoadPlan> MakeLoadPlan(const Options& options) {
  LoadPlan plan;
  TRY_ASSIGN(Side side, MakeSide(options.measured, 1));
  plan.target = std::move(side.target);
  plan.request = std::move(side.requests.front());
  plan.expected = std::move(side.expected);
  plan.rate_per_second = options.rate;
  plan.arrivals = options.uniform ? Arrivals::kUniform : Arrivals::kPoisson;
  plan.seed = options.seed;
  plan.connections = options.connections;
  plan.run = std::chrono::milliseconds(static_cast<int64_t>(options.seconds * 1000));
  plan.timeout = std::chrono::milliseconds(options.timeout_ms);
  return plan;
}

Json Report(const LoadPlan& plan, const LoadOutcome& outcome) {
  const double seconds = std::chrono::duration<double>(plan.run).count();
  const Tally& tally = outcome.tally;
  Json json;
  json["requests"] = tally.total();
  for (size_t i = 0; i < kFates; ++i) {
    const Fate fate = static_cast<Fate>(i);
    Json& of = json["fates"][FateName(fate)];
    of["count"] = tally.count(fate);
    if (tally.count(fate) > 0) of["latency_ms"] = ToJson(SpreadOf(tally.latencies_ms(fate)));
  }
  json["ok_per_second"] = static_cast<double>(tally.ok_within(plan.run)) / seconds;
  json["ok_by_second"] = tally.ok_by_second();
  json["connections_made"] = outcome.connections_made;
  json["sent_late_ms"] = ToJson(SpreadOf(outcome.sent_late_ms));
  return json;
}

int EndWith(const Error& error, int status) {
  std::cerr << "hybridserve-bench-client: " << error.message << '\n';
  return status;
}

template <typename P, typename O>
int Finish(const Result<P>& plan, Result<O> (*run)(const P&)) {
  if (!plan) return EndWith(plan.error(), 2);
  const Result<O> outcome = run(*plan);
  if (!outcome) return EndWith(outcome.error(), 1);
  std::cout << Report(*plan, *outcome).dump(1) << '\n';
  return 0;
}

int Run(const Options& options) {
  if (options.seconds > 0) return Finish(MakeLoadPlan(options), RunLoad);
  return Finish(MakePlan(options), TakeSamples);
}

void AddLoad(CLI::App& app, Options& options) {
  CLI::Option* const seconds =
      app.add_option("--seconds", options.seconds,
                     "a load instead of samples: send requests for so long over many connections")
          ->check(CLI::PositiveNumber);
  app.add_option("--rate", options.rate,
                 "requests a second, whatever the answers (open loop); without it each connection "
                 "sends its next request when it has its answer (closed loop)")
      ->check(CLI::PositiveNumber)
      ->needs(seconds);
  app.add_option("--connections", options.connections, "the most connections at once (64)")
      ->check(CLI::PositiveNumber)
      ->needs(seconds);
  app.add_flag("--uniform", options.uniform,
               "even gaps between requests, not those of a Poisson process")
      ->needs(seconds);
  app.add_option("--seed", options.seed, "of the gaps (1)")->needs(seconds);
  app.add_option("--timeout-ms", options.timeout_ms,
                 "for an answer, from when its request was due (30000)")
      ->check(CLI::PositiveNumber)
      ->needs(seconds);
}

}  // namespace
}  // namespace hybridserve::bench

int main(int argc, char** argv) {
  hybridserve::bench::Options options;
  CLI::App app(
      "Measures the latency of requests over one kept-alive connection and checks every answer.\n"
      "With --against-connect a second server is sampled in turn, and the differences of each "
      "pair\n"
      "are reported too. With --until each sample waits for a state of the node first. With\n"
      "--seconds many connections load the server, and every request is accounted for.");
  hybridserve::bench::AddSide(app, "", options.measured);
  hybridserve::bench::AddSide(app, "against-", options.against);
  app.get_option("--connect")->required();
  app.get_option("--expect")->required();
  app.get_option("--against-connect")->needs(app.get_option("--against-expect"));
  app.add_option("--warm-up", options.warm_ups, "requests that are checked and not counted");
  app.add_option("--samples", options.samples, "requests that are counted")
      ->check(CLI::PositiveNumber);
  CLI::Option* const admin = app.add_option("--admin", options.admin, "the node's admin socket");
  app.add_option("--until", options.conditions,
                 "PATH#POINTER=VALUE (or >=) that must hold at the admin API before each sample")
      ->needs(admin);
  app.add_option("--rotate", options.rotate,
                 "send to this many paths in turn: {} in --path and --until is 0, 1, ...; what is "
                 "asked before each sample is then asked before each turn")
      ->check(CLI::PositiveNumber);
  app.add_option("--settle-ms", options.settle_ms, "idle time before each sample");
  app.add_option("--evict", options.evicted,
                 "file or folder dropped from the page cache before each sample");
  hybridserve::bench::AddLoad(app, options);
  CLI11_PARSE(app, argc, argv);
  return hybridserve::bench::Run(options);
}
