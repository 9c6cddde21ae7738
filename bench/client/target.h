// Target: where a connection of the benchmark goes, and the making of it.
//
// Thread rule: pure functions; ConnectTo may be called from any thread.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"

namespace hybridserve::bench {

struct Target {
  std::string unix_path;  ///< Of a unix socket; empty: TCP.
  std::string address;    ///< IPv4 address in numbers.
  uint16_t port = 0;
  pid_t netns_of = 0;  ///< Connect inside this process's network namespace; 0: our own.
};

/// "unix:/a/b.sock" or "127.0.0.1:8080". Errors: kInvalidArgument.
Result<Target> ParseTarget(std::string_view text);

/// A connected, blocking stream with TCP_NODELAY and a receive timeout of 30 s. Another network
/// namespace needs root; the calling thread stays in its own.
/// Errors: those of the system calls, with the target's name.
Result<UniqueFd> ConnectTo(const Target& target);

/// A non-blocking stream in our own network namespace, perhaps still connecting: it is writable
/// when that has ended, and SO_ERROR says how. Errors: kUnavailable nobody listens, or too many
/// wait to be accepted; others of the machine.
Result<UniqueFd> StartConnecting(const Target& target);

}  // namespace hybridserve::bench
