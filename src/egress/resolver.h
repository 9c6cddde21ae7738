// Resolver: names to addresses, by the system's own resolver on threads of its own, since it
// blocks.
//
// Thread rule: the event loop's thread only. Lookups under way may outlive the object's last use;
// the destructor waits for them.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/ip/address.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/awaitable.h"
#include "container/clock.h"

namespace hybridserve {

class Resolver {
 public:
  using Addresses = std::vector<boost::asio::ip::address>;
  /// Looks one name up, on any thread. Errors: kNotFound.
  using Lookup = std::function<Result<Addresses>(const std::string& name)>;

  /// Lookups that wait or run at once; more are refused.
  static constexpr size_t kMaxPending = 64;

  /// `clock` outlives the object.
  Resolver(boost::asio::any_io_executor executor, Clock& clock, Lookup lookup);
  ~Resolver();

  /// Errors: kNotFound no such name; kTimeout not by `deadline`; kUnavailable too many at once.
  Awaitable<Addresses> Resolve(std::string name, Clock::TimePoint deadline);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;  // Shared with lookups under way.
};

/// getaddrinfo(3) for stream sockets.
Result<Resolver::Addresses> SystemLookup(const std::string& name);

}  // namespace hybridserve
