// CloseGate: closes a gate and waits for what is inside.
//
// Thread rule: the event loop's thread only.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <memory>

#include "base/gate.h"

namespace hybridserve {

/// Refuses new work and returns once the gate is empty, at `until` at the latest. Whether it is
/// empty: what is still inside otherwise goes on, and needs all that it stands on.
inline boost::asio::awaitable<bool> CloseGate(Gate& gate, boost::asio::any_io_executor executor,
                                              std::chrono::steady_clock::time_point until) {
  // Shared by: this wait and the gate, which may call when the wait is over.
  const auto done = std::make_shared<boost::asio::steady_timer>(executor, until);
  gate.Close([done] { done->cancel(); });
  if (gate.inside() > 0) {
    co_await done->async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
  }
  co_return gate.inside() == 0;
}

}  // namespace hybridserve
