// Load: many requests at once over many kept-alive connections, each accounted for.
//
// Open loop: requests are sent by a schedule whatever the answers, and a latency counts from when
// its request was due, so that a stall of the server (or of this client) shows in all the requests
// that it held up. Closed loop: each of so many connections sends its next request when it has its
// answer; that finds a server's capacity.
//
// Thread rule: one thread; epoll.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "base/result.h"
#include "client/schedule.h"
#include "client/tally.h"
#include "client/target.h"

namespace hybridserve::bench {

struct LoadPlan {
  Target target;  ///< Connections inside another network namespace are not made.
  std::string request;
  std::string expected;  ///< The body of a 200.

  double rate_per_second = 0;  ///< Open loop; 0: closed loop.
  Arrivals arrivals = Arrivals::kPoisson;
  uint64_t seed = 1;
  /// The most connections at once. Closed loop: so many are there. Open loop: they are made as
  /// needed; a request that finds all of them busy waits for one, and its time runs.
  uint32_t connections = 64;
  std::chrono::milliseconds run{1000};       ///< Requests are sent for so long.
  std::chrono::milliseconds timeout{30000};  ///< For an answer, from when its request was due.
};

struct LoadOutcome {
  Tally tally;
  uint64_t connections_made = 0;
  /// How late this client sent its requests, in milliseconds, one entry a request that was sent.
  std::vector<double> sent_late_ms;
};

/// Runs the plan until each request has its fate: `run`, and up to `timeout` more.
/// Errors: kInvalidArgument; those of the machine (epoll, descriptors). What a server does wrong is
/// no error but a fate.
Result<LoadOutcome> RunLoad(const LoadPlan& plan);

}  // namespace hybridserve::bench
