// Bodies that are too large for a datagram, as memfds. Copied piece by piece, so that the event
// loop serves others meanwhile.
//
// Thread rule: the event loop's thread only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/awaitable.h"
#include "base/unique_fd.h"

namespace hybridserve {

/// A sealed memfd with the bytes, which outlive the call.
Awaitable<UniqueFd> MakeBodyFile(std::string_view bytes);

/// The content of a memfd that came from a process we do not trust. It must be one, sealed against
/// writing and shrinking, so that no read can block and no byte change; of `bytes` size.
/// Errors: kFunctionFailed it is not such a file, or is larger than `limit_bytes`.
Awaitable<std::string> ReadBodyFile(int fd, uint64_t bytes, uint64_t limit_bytes);

}  // namespace hybridserve
