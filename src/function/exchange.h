// Exchange: one HTTP request and its answer, as the router sees them. The gateway implements it over
// a connection; tests implement it in memory.
//
// Thread rule: the event loop's thread only; one coroutine at a time reads and one writes.
#pragma once

#include <optional>
#include <string_view>

#include "base/awaitable.h"
#include "base/result.h"
#include "function/invocation.h"

namespace hybridserve {

/// How the node serves a request, for the answer's headers.
struct ServedBy {
  Backend backend = Backend::kWasm;
  StartKind start = StartKind::kWarm;
  std::string_view reason;  ///< Static storage: a word of the policy.
  Timing timing;
};

class Exchange {
 public:
  virtual ~Exchange() = default;

  [[nodiscard]] virtual const RequestHead& head() const = 0;

  /// The next piece of the body, as a view that holds until the next call; empty at its end.
  /// Errors: kTooLarge past the limit given to LimitBody; kTimeout the client stopped sending;
  /// kCancelled the client went away; kInvalidArgument bad framing.
  virtual Awaitable<std::string_view> ReadBody() = 0;
  /// Largest body that ReadBody lets through; set before the first ReadBody.
  virtual void LimitBody(uint64_t bytes) = 0;

  /// Puts Server-Timing and HybridServe-Backend, -Start and -Reason onto the answer. The last call
  /// before Send or Begin counts; without one the answer carries none of them.
  virtual void Annotate(const ServedBy& /*served_by*/) {}

  /// Sends a whole answer. Errors: kCancelled the client went away.
  virtual Awaitable<> Send(ResponseHead head, std::string_view body) = 0;

  /// Sends an answer piece by piece: Begin once, Write any number of times, End once. Without
  /// `content_length` the body is chunked.
  virtual Awaitable<> Begin(ResponseHead head, std::optional<uint64_t> content_length) = 0;
  virtual Awaitable<> Write(std::string_view piece) = 0;
  virtual Awaitable<> End() = 0;
  /// True once Begin or Send has put bytes on the wire: no other answer can be given.
  [[nodiscard]] virtual bool answered() const = 0;
};

}  // namespace hybridserve
