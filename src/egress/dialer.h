// Dialer: a TCP connection to a destination that a function may reach.
//
// Thread rule: the event loop's thread only; outlives its calls.
#pragma once

#include <boost/asio/any_io_executor.hpp>

#include "base/awaitable.h"
#include "base/unique_fd.h"
#include "container/clock.h"
#include "egress/resolver.h"
#include "function/network_pattern.h"

namespace hybridserve {

class Dialer {
 public:
  /// Addresses of one name that are tried, one after the other.
  static constexpr size_t kMaxAddresses = 4;

  /// Both outlive the object.
  Dialer(boost::asio::any_io_executor executor, Clock& clock, Resolver& resolver)
      : executor_(std::move(executor)), clock_(clock), resolver_(resolver) {}

  /// A connected, non-blocking stream. `destination` is allowed; to which of its addresses it may
  /// go, Allow::MayConnect says.
  /// Errors: kForbidden it resolves to addresses inside only; kNotFound; kUnavailable nobody takes
  /// the connection; kTimeout not by `deadline`.
  Awaitable<UniqueFd> Dial(Destination destination, Clock::TimePoint deadline);

 private:
  Awaitable<Resolver::Addresses> AddressesOf(const Destination& destination,
                                             Clock::TimePoint deadline);
  Awaitable<UniqueFd> Connect(boost::asio::ip::address address, uint16_t port,
                              Clock::TimePoint deadline);

  boost::asio::any_io_executor executor_;
  Clock& clock_;
  Resolver& resolver_;
};

}  // namespace hybridserve
