// Bounds of a function that a manifest cannot raise: all of it travels in one datagram to the
// executor, beside a request.
//
// Thread rule: constants.
#pragma once

#include <cstddef>

namespace hybridserve {

/// Host folders that one function may be granted; each is a descriptor of the datagram.
inline constexpr size_t kMaxFolders = 12;
/// Names and values of a function's environment, secrets included, with two bytes for each.
inline constexpr size_t kMaxEnvironmentBytes = 32 * 1024;

}  // namespace hybridserve
