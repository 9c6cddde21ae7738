#include "client/sampler.h"

#include <cstdlib>
#include <thread>

#include "client/page_cache.h"

namespace hybridserve::bench {
namespace {

double Milliseconds(std::chrono::nanoseconds time) {
  return std::chrono::duration<double, std::milli>(time).count();
}

enum class Headers : uint8_t { kChecked, kIgnored };

Result<> Check(const Side& side, const Answer& answer, Headers headers) {
  if (answer.status != 200) {
    return Fail(Code::kCorrupt,
                "answered " + std::to_string(answer.status) + ": " + answer.body.substr(0, 300));
  }
  if (answer.body != side.expected) {
    return Fail(Code::kCorrupt, "wrong body of " + std::to_string(answer.body.size()) +
                                    " bytes, expected " + std::to_string(side.expected.size()) +
                                    ": '" + answer.body.substr(0, 300) + "'");
  }
  if (headers == Headers::kIgnored) return {};
  for (const auto& [name, value] : side.expected_headers) {
    if (answer.Header(name) == value) continue;
    return Fail(Code::kCorrupt, "header " + name + " is '" + std::string(answer.Header(name)) +
                                    "', expected '" + value + "'");
  }
  return {};
}

// One side's connection and what was measured over it.
class Sampled {
 public:
  Sampled(const Side& side, UniqueFd stream) : side_(side), connection_(std::move(stream)) {}

  Result<> WarmUp() {
    TRY_ASSIGN(const Answer answer, connection_.Send(NextRequest()));
    return Check(side_, answer, Headers::kIgnored);
  }

  Result<> Sample(Times& times) {
    TRY_ASSIGN(const Answer answer, connection_.Send(NextRequest()));
    TRY(Check(side_, answer, Headers::kChecked));
    times.first_byte.push_back(Milliseconds(answer.first_byte));
    times.last_byte.push_back(Milliseconds(answer.last_byte));
    for (auto& [word, duration] : ParseServerTiming(answer.Header("Server-Timing"))) {
      times.server_timing[word].push_back(duration);
    }
    return {};
  }

  /// The next request is the first one again.
  [[nodiscard]] bool at_turn() const { return next_ == 0; }

 private:
  const std::string& NextRequest() {
    const std::string& request = side_.requests[next_];
    next_ = (next_ + 1) % side_.requests.size();
    return request;
  }

  const Side& side_;
  HttpConnection connection_;
  size_t next_ = 0;
};

Result<> GetReady(const Plan& plan, Outcome& outcome) {
  if (plan.admin) TRY(WaitFor(plan.conditions, *plan.admin, plan.wait_timeout));
  for (const std::filesystem::path& path : plan.evicted) {
    TRY_ASSIGN(const size_t pages, EvictFromPageCache(path));
    outcome.pages_stayed += pages;
  }
  if (plan.settle.count() > 0) std::this_thread::sleep_for(plan.settle);
  return {};
}

}  // namespace

Result<Outcome> TakeSamples(const Plan& plan) {
  TRY_ASSIGN(UniqueFd stream, ConnectTo(plan.measured.target));
  Sampled measured(plan.measured, std::move(stream));
  std::optional<Sampled> against;
  if (plan.against) {
    TRY_ASSIGN(UniqueFd peer_stream, ConnectTo(plan.against->target));
    against.emplace(*plan.against, std::move(peer_stream));
  }
  for (uint32_t i = 0; i < plan.warm_ups; ++i) {
    TRY(measured.WarmUp());
    if (against) TRY(against->WarmUp());
  }
  Outcome outcome;
  for (uint32_t i = 0; i < plan.samples; ++i) {
    if (measured.at_turn()) TRY(GetReady(plan, outcome));
    // The order changes each time: whoever comes second finds the caches warmer.
    const bool peer_first = i % 2 == 1;
    if (against && peer_first) TRY(against->Sample(outcome.against));
    TRY(measured.Sample(outcome.measured));
    if (against && !peer_first) TRY(against->Sample(outcome.against));
  }
  return outcome;
}

std::vector<std::pair<std::string, double>> ParseServerTiming(std::string_view value) {
  std::vector<std::pair<std::string, double>> found;
  while (!value.empty()) {
    const size_t comma = value.find(',');
    std::string_view entry = value.substr(0, comma);
    value = comma == std::string_view::npos ? std::string_view{} : value.substr(comma + 1);
    while (entry.starts_with(' ')) entry.remove_prefix(1);
    constexpr std::string_view kDuration = ";dur=";
    const size_t duration = entry.find(kDuration);
    if (duration == std::string_view::npos) continue;
    const std::string number(entry.substr(duration + kDuration.size()));
    found.emplace_back(entry.substr(0, duration), std::strtod(number.c_str(), nullptr));
  }
  return found;
}

}  // namespace hybridserve::bench
