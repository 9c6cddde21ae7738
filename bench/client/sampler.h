// Sampler: takes the samples of one measurement over kept-alive connections, checking every answer.
//
// Thread rule: one thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "client/condition.h"
#include "client/http_connection.h"
#include "client/target.h"

namespace hybridserve::bench {

/// One side of a measurement.
struct Side {
  Target target;
  /// As bytes. The samples take them in turn; there is at least one.
  std::vector<std::string> requests;
  std::string expected;  ///< The body every answer must have.
  /// Headers every answer of a sample must carry, with their values. Not asked of warm-ups.
  std::vector<std::pair<std::string, std::string>> expected_headers;
};

struct Plan {
  Side measured;
  std::optional<Side> against;  ///< A peer, sampled in turn with the measured side.
  uint32_t warm_ups = 0;        ///< Requests to each side that are checked and not counted.
  uint32_t samples = 1;

  /// Before each turn of the measured side's requests (with one request: before each sample): what
  /// has to hold at `admin`, then a pause in which the node sits idle.
  std::optional<Target> admin;
  std::vector<Condition> conditions;
  std::chrono::milliseconds wait_timeout{30000};
  std::chrono::milliseconds settle{0};
  std::vector<std::filesystem::path> evicted;  ///< Dropped from the page cache before each turn.
};

/// What one side came to; one entry a sample, in milliseconds.
struct Times {
  std::vector<double> first_byte;
  std::vector<double> last_byte;
  /// By the words of the answers' Server-Timing headers.
  std::map<std::string, std::vector<double>> server_timing;
};

struct Outcome {
  Times measured;
  Times against;              ///< Empty without a peer.
  uint64_t pages_stayed = 0;  ///< Of `evicted` files, over all samples.
};

/// Runs the plan. Errors: a wrong answer (kCorrupt, with what came), those of connections and
/// waits.
Result<Outcome> TakeSamples(const Plan& plan);

/// The words and durations of a Server-Timing header: "queue;dur=0.004, run;dur=0.061".
/// Entries without a duration are left out.
std::vector<std::pair<std::string, double>> ParseServerTiming(std::string_view value);

}  // namespace hybridserve::bench
