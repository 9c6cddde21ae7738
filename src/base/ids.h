// Ids: types for what would otherwise all be strings or numbers.
//
// Thread rule: plain values.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <ostream>
#include <string>

namespace hybridserve {

/// A string or number that cannot be mistaken for another one.
template <typename Tag, typename Value>
struct StrongId {
  Value value{};
  auto operator<=>(const StrongId&) const = default;
  friend std::ostream& operator<<(std::ostream& out, const StrongId& id) { return out << id.value; }
};

using FunctionName = StrongId<struct FunctionNameTag, std::string>;  ///< [a-z0-9][a-z0-9_-]{0,62}
using RevisionId = StrongId<struct RevisionIdTag, int64_t>;          ///< 1, 2, ... per function.
using ContainerId = StrongId<struct ContainerIdTag, uint64_t>;  ///< Unique on a node, ever rising.
using ExecutorId = StrongId<struct ExecutorIdTag, uint64_t>;    ///< Unique in a launcher's life.

/// The SHA-256 of some content, as 64 lower-case hex digits; empty means none.
using Digest = StrongId<struct DigestTag, std::string>;

}  // namespace hybridserve

template <typename Tag, typename Value>
struct std::hash<hybridserve::StrongId<Tag, Value>> {
  size_t operator()(const hybridserve::StrongId<Tag, Value>& id) const noexcept {
    return std::hash<Value>{}(id.value);
  }
};
