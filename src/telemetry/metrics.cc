#include "telemetry/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <map>
#include <unordered_map>
#include <utility>
#include <vector>

namespace hybridserve {
namespace {

using prometheus::ClientMetric;
using prometheus::Histogram;
using prometheus::MetricFamily;
using prometheus::MetricType;

// Seconds, from 50 µs to 60 s: below lies a request that did nothing, above every timeout.
const Histogram::BucketBoundaries kSeconds = {50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3,
                                              10e-3, 25e-3,  50e-3,  100e-3, 0.25, 0.5,    1,
                                              2.5,   5,      10,     30,     60};

constexpr std::array kBackends = {Backend::kWasm, Backend::kContainer};
constexpr std::array kStarts = {StartKind::kCold, StartKind::kWarm};

double Seconds(Microseconds time) { return static_cast<double>(time.count()) * 1e-6; }

template <typename Enum>
size_t Index(Enum value) {
  return static_cast<size_t>(value);
}

// One histogram per backend and start kind, looked up by their numbers.
class PhaseHistogram {
 public:
  PhaseHistogram(prometheus::Registry& registry, const char* name, const char* help) {
    auto& family = prometheus::BuildHistogram().Name(name).Help(help).Register(registry);
    for (const Backend backend : kBackends) {
      for (const StartKind start : kStarts) {
        by_kind_[Index(backend)][Index(start)] =
            &family.Add({{"backend", std::string(BackendName(backend))},
                         {"start", std::string(StartName(start))}},
                        kSeconds);
      }
    }
  }
  void Observe(Backend backend, StartKind start, Microseconds time) {
    by_kind_[Index(backend)][Index(start)]->Observe(Seconds(time));
  }

 private:
  std::array<std::array<Histogram*, 2>, 2> by_kind_{};
};

MetricFamily Family(std::string name, std::string help, MetricType type) {
  return {std::move(name), std::move(help), type, {}};
}

void AddValue(MetricFamily& family, std::vector<ClientMetric::Label> labels, double value) {
  ClientMetric metric;
  metric.label = std::move(labels);
  (family.type == MetricType::Counter ? metric.counter.value : metric.gauge.value) = value;
  family.metric.push_back(std::move(metric));
}

void AddGauge(std::vector<MetricFamily>& out, std::string name, std::string help, uint64_t value) {
  out.push_back(Family(std::move(name), std::move(help), MetricType::Gauge));
  AddValue(out.back(), {}, static_cast<double>(value));
}

void AddGauges(std::vector<MetricFamily>& out, const Gauges& g) {
  AddGauge(out, "hybridserve_functions", "Functions deployed.", g.functions);
  AddGauge(out, "hybridserve_connections", "Open client connections.", g.connections);
  AddGauge(out, "hybridserve_wasm_running", "Wasm guests that run now.", g.wasm_running);
  AddGauge(out, "hybridserve_queued", "Requests that wait for a slot.", g.queued);

  auto containers = Family("hybridserve_containers", "Containers by state.", MetricType::Gauge);
  AddValue(containers, {{"state", "starting"}}, static_cast<double>(g.containers_starting));
  AddValue(containers, {{"state", "ready"}}, static_cast<double>(g.containers_ready));
  AddValue(containers, {{"state", "frozen"}}, static_cast<double>(g.containers_frozen));
  AddValue(containers, {{"state", "ending"}}, static_cast<double>(g.containers_ending));
  out.push_back(std::move(containers));

  auto slots = Family("hybridserve_container_slots", "Slots of ready containers by state.",
                      MetricType::Gauge);
  AddValue(slots, {{"state", "busy"}}, static_cast<double>(g.container_slots_busy));
  AddValue(slots, {{"state", "free"}}, static_cast<double>(g.container_slots_free));
  out.push_back(std::move(slots));

  auto memory =
      Family("hybridserve_memory_bytes", "Resident memory by part of the node.", MetricType::Gauge);
  AddValue(memory, {{"part", "server"}}, static_cast<double>(g.server_memory_bytes));
  AddValue(memory, {{"part", "executors"}}, static_cast<double>(g.executor_memory_bytes));
  AddValue(memory, {{"part", "containers"}}, static_cast<double>(g.container_memory_bytes));
  out.push_back(std::move(memory));
}

}  // namespace

std::string_view OutcomeName(Outcome outcome) {
  switch (outcome) {
    case Outcome::kOk:
      return "ok";
    case Outcome::kErrorStatus:
      return "error_status";
    case Outcome::kFunctionFailed:
      return "function_failed";
    case Outcome::kTimeout:
      return "timeout";
    case Outcome::kQueueFull:
      return "queue_full";
    case Outcome::kUnavailable:
      return "unavailable";
    case Outcome::kCancelled:
      return "cancelled";
    case Outcome::kRejected:
      return "rejected";
    case Outcome::kInternal:
      return "internal";
  }
  return "internal";
}

Outcome OutcomeOf(Code code) {
  switch (code) {
    case Code::kInvalidArgument:
    case Code::kUnauthorized:
    case Code::kForbidden:
    case Code::kNotFound:
    case Code::kConflict:
    case Code::kTooLarge:
    case Code::kUnsupported:
      return Outcome::kRejected;
    case Code::kFunctionFailed:
    case Code::kBackendDied:
      return Outcome::kFunctionFailed;
    case Code::kQueueFull:
      return Outcome::kQueueFull;
    case Code::kUnavailable:
      return Outcome::kUnavailable;
    case Code::kTimeout:
      return Outcome::kTimeout;
    case Code::kCancelled:
      return Outcome::kCancelled;
    case Code::kCorrupt:
    case Code::kInternal:
      return Outcome::kInternal;
  }
  return Outcome::kInternal;
}

std::string_view EgressResultName(EgressResult result) {
  constexpr std::string_view kNames[kEgressResults] = {"ok",          "forbidden", "bad_request",
                                                       "unreachable", "timeout",   "cut"};
  return kNames[Index(result)];
}

struct Metrics::Impl {
  prometheus::Registry registry;
  PhaseHistogram queue{registry, "hybridserve_queue_seconds", "Waiting for a slot."};
  PhaseHistogram start{registry, "hybridserve_start_seconds",
                       "Until the function's first instruction, or its connection."};
  PhaseHistogram run{registry, "hybridserve_run_seconds", "The function itself."};
  PhaseHistogram total{registry, "hybridserve_total_seconds",
                       "From a request's arrival to its answer."};
  Histogram& boot = prometheus::BuildHistogram()
                        .Name("hybridserve_boot_seconds")
                        .Help("Starting a container, until it listens or fails.")
                        .Register(registry)
                        .Add({}, kSeconds);
  Histogram& thaw = prometheus::BuildHistogram()
                        .Name("hybridserve_thaw_seconds")
                        .Help("Letting a frozen container go on.")
                        .Register(registry)
                        .Add({}, kSeconds);
  std::unordered_map<FunctionName, FunctionCountsPtr> functions;
  std::map<std::string, uint64_t, std::less<>> boots;  // By outcome.
  std::map<int, uint64_t> refused;                     // By HTTP status.
  std::vector<std::function<void(Gauges&)>> fillers;

  void AddInvocations(std::vector<MetricFamily>& out) const;
  void AddEgress(std::vector<MetricFamily>& out) const;
  void AddCounts(std::vector<MetricFamily>& out) const;
};

void Metrics::Impl::AddInvocations(std::vector<MetricFamily>& out) const {
  auto invocations = Family("hybridserve_invocations_total", "Invocations by how they ended.",
                            MetricType::Counter);
  auto run_time = Family("hybridserve_function_run_seconds_total", "Time in the function itself.",
                         MetricType::Counter);
  auto retries = Family("hybridserve_retries_total",
                        "Requests run again on the other backend, by the one that died.",
                        MetricType::Counter);
  for (const auto& [name, counts] : functions) {
    for (const Backend backend : kBackends) {
      const std::string backend_word(BackendName(backend));
      if (const uint64_t count = counts->retries[Index(backend)]; count > 0) {
        AddValue(retries, {{"function", name.value}, {"from", backend_word}},
                 static_cast<double>(count));
      }
      const Microseconds ran = counts->run_time[Index(backend)];
      if (ran.count() > 0) {
        AddValue(run_time, {{"function", name.value}, {"backend", backend_word}}, Seconds(ran));
      }
      for (const StartKind kind : kStarts) {
        for (size_t outcome = 0; outcome < kOutcomes; ++outcome) {
          const uint64_t count = counts->invocations[Index(backend)][Index(kind)][outcome];
          if (count == 0) continue;
          AddValue(invocations,
                   {{"function", name.value},
                    {"backend", backend_word},
                    {"start", std::string(StartName(kind))},
                    {"outcome", std::string(OutcomeName(static_cast<Outcome>(outcome)))}},
                   static_cast<double>(count));
        }
      }
    }
  }
  out.push_back(std::move(invocations));
  out.push_back(std::move(run_time));
  out.push_back(std::move(retries));
}

void Metrics::Impl::AddEgress(std::vector<MetricFamily>& out) const {
  auto requests = Family("hybridserve_egress_requests_total",
                         "Outbound requests of functions by how they ended.", MetricType::Counter);
  for (const auto& [name, counts] : functions) {
    for (size_t result = 0; result < kEgressResults; ++result) {
      if (counts->egress[result] == 0) continue;
      AddValue(requests,
               {{"function", name.value},
                {"result", std::string(EgressResultName(static_cast<EgressResult>(result)))}},
               static_cast<double>(counts->egress[result]));
    }
  }
  out.push_back(std::move(requests));
}

void Metrics::Impl::AddCounts(std::vector<MetricFamily>& out) const {
  auto boot_counts = Family("hybridserve_boots_total", "Starts of containers by how they ended.",
                            MetricType::Counter);
  for (const auto& [outcome, count] : boots) {
    AddValue(boot_counts, {{"outcome", outcome}}, static_cast<double>(count));
  }
  out.push_back(std::move(boot_counts));

  auto refusals =
      Family("hybridserve_refused_total", "Requests answered before a backend was chosen, by status.",
             MetricType::Counter);
  for (const auto& [status, count] : refused) {
    AddValue(refusals, {{"status", std::to_string(status)}}, static_cast<double>(count));
  }
  out.push_back(std::move(refusals));

  auto build = Family("hybridserve_build_info", "Which version runs.", MetricType::Gauge);
  AddValue(build, {{"version", HYBRIDSERVE_VERSION}}, 1);
  out.push_back(std::move(build));
}

Metrics::Metrics() : impl_(std::make_unique<Impl>()) {}
Metrics::~Metrics() = default;

FunctionCountsPtr Metrics::Of(const FunctionName& name) {
  FunctionCountsPtr& counts = impl_->functions[name];
  if (!counts) {
    counts = std::make_shared<FunctionCounts>();
    counts->name = name;
  }
  return counts;
}

void Metrics::Drop(const FunctionName& name) { impl_->functions.erase(name); }

void Metrics::CountInvocation(FunctionCounts& counts, Backend backend, StartKind start,
                              Outcome outcome, const Timing& timing, Microseconds total) {
  ++counts.invocations[Index(backend)][Index(start)][Index(outcome)];
  counts.run_time[Index(backend)] += timing.run;
  impl_->queue.Observe(backend, start, timing.queue);
  impl_->start.Observe(backend, start, timing.start);
  impl_->run.Observe(backend, start, timing.run);
  impl_->total.Observe(backend, start, total);
}

void Metrics::CountRetry(FunctionCounts& counts, Backend from) { ++counts.retries[Index(from)]; }

void Metrics::CountEgress(FunctionCounts& counts, EgressResult result) {
  ++counts.egress[Index(result)];
}

void Metrics::CountBoot(std::string_view outcome, Microseconds boot_time) {
  const auto found = impl_->boots.find(outcome);
  if (found != impl_->boots.end()) {
    ++found->second;
  } else {
    impl_->boots.emplace(outcome, 1);
  }
  impl_->boot.Observe(Seconds(boot_time));
}

void Metrics::CountThaw(Microseconds thaw_time) { impl_->thaw.Observe(Seconds(thaw_time)); }

void Metrics::CountRefused(int http_status) { ++impl_->refused[http_status]; }

void Metrics::OnCollect(std::function<void(Gauges&)> fill) {
  impl_->fillers.push_back(std::move(fill));
}

std::string Metrics::Serialize() const {
  Gauges gauges;
  for (const auto& fill : impl_->fillers) fill(gauges);
  std::vector<MetricFamily> families = impl_->registry.Collect();
  impl_->AddInvocations(families);
  impl_->AddEgress(families);
  impl_->AddCounts(families);
  AddGauges(families, gauges);
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace hybridserve
