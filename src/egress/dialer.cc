#include "egress/dialer.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <algorithm>

#include "egress/allow.h"
#include "function/units.h"

namespace hybridserve {

namespace asio = boost::asio;

Awaitable<UniqueFd> Dialer::Dial(Destination destination, Clock::TimePoint deadline) {
  CO_TRY_ASSIGN(Resolver::Addresses addresses, co_await AddressesOf(destination, deadline));
  Error last{Code::kNotFound, "the name " + Quote(destination.host) + " has no address"};
  size_t tried = 0;
  for (const asio::ip::address& address : addresses) {
    if (!Allow::MayConnect(destination, address)) {
      last = {Code::kForbidden,
              "the name " + Quote(destination.host) + " resolves to " + address.to_string() +
                  ", which is no public address; [network] allow must name the address itself"};
      continue;
    }
    if (tried++ == kMaxAddresses) break;
    Result<UniqueFd> stream = co_await Connect(address, destination.port, deadline);
    if (stream) co_return stream;
    last = std::move(stream.error());
    if (last.code == Code::kTimeout) break;
  }
  co_return tl::unexpected<Error>(std::move(last));
}

Awaitable<Resolver::Addresses> Dialer::AddressesOf(const Destination& destination,
                                                   Clock::TimePoint deadline) {
  boost::system::error_code no_address;
  const asio::ip::address literal = asio::ip::make_address(destination.host, no_address);
  if (!no_address) co_return Resolver::Addresses{literal};
  std::string name = destination.host;
  Result<Resolver::Addresses> found = co_await resolver_.Resolve(std::move(name), deadline);
  co_return found;
}

Awaitable<UniqueFd> Dialer::Connect(asio::ip::address address, uint16_t port,
                                    Clock::TimePoint deadline) {
  const asio::ip::tcp::endpoint endpoint(address, port);
  asio::ip::tcp::socket socket(executor_);
  bool late = false;
  const Clock::Ticket ticket = clock_.At(deadline, [&socket, &late] {
    late = true;
    boost::system::error_code ignored;
    socket.close(ignored);
  });
  const auto [error] =
      co_await socket.async_connect(endpoint, asio::as_tuple(asio::use_awaitable));
  const std::string where = address.to_string() + " port " + std::to_string(port);
  if (late) co_return Fail(Code::kTimeout, where + " took no connection in time");
  if (error) co_return Fail(Code::kUnavailable, "cannot connect to " + where + ": " + error.message());
  boost::system::error_code ignored;
  socket.set_option(asio::ip::tcp::no_delay(true), ignored);
  UniqueFd stream(socket.release(ignored));
  co_return stream;
}

}  // namespace hybridserve
