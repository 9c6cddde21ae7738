// Seqpacket: AF_UNIX SOCK_SEQPACKET sockets that carry datagrams with file descriptors.
//
// One datagram is one message: whole or not at all, in order. Several threads may block in
// Receive on one socket; the kernel gives each datagram to one of them.
//
// Thread rule: free functions on descriptors; safe from any thread.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace hybridserve::ipc {

/// Larger payloads travel as a sealed memfd inside the same datagram.
inline constexpr size_t kMaxInlineBytes = 64 * 1024;
/// What a receiver must have room for: an inline payload and its header.
inline constexpr size_t kMaxDatagramBytes = 160 * 1024;
/// Descriptors in one datagram.
inline constexpr size_t kMaxFds = 16;

/// A connected pair, close-on-exec, with send buffers of `buffer_bytes` (0: the system's default).
Result<std::pair<UniqueFd, UniqueFd>> MakePair(int buffer_bytes = 0);

/// Whether a call may block.
enum class Wait { kBlock, kDont };

/// Sends one datagram made of `parts` in order (at most 8), with `fds` (at most kMaxFds), which
/// stay the caller's. Never raises SIGPIPE.
///
/// Errors: kUnavailable "would block" (only with Wait::kDont); kInternal, the peer is gone or the
/// datagram is too large.
Result<> Send(int socket, std::span<const std::string_view> parts, std::span<const int> fds,
              Wait wait);
Result<> Send(int socket, std::string_view bytes, std::span<const int> fds, Wait wait);

/// One received datagram. `size` is 0 when the peer has closed.
struct Received {
  size_t size = 0;
  std::vector<UniqueFd> fds;
};

/// Receives one datagram into `buffer`, which should hold kMaxDatagramBytes; the descriptors
/// arrive close-on-exec.
///
/// Errors: kUnavailable nothing there (only with Wait::kDont); kCorrupt the datagram was cut off
/// (its descriptors are closed); kInternal the system call failed.
Result<Received> Receive(int socket, std::span<char> buffer, Wait wait);

}  // namespace hybridserve::ipc
