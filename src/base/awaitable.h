// Awaitable: a coroutine on the event loop that ends in a Result.
//
// Thread rule: the event loop's thread only.
#pragma once

#include <boost/asio/awaitable.hpp>

#include "base/result.h"

namespace hybridserve {

template <typename T = void>
using Awaitable = boost::asio::awaitable<Result<T>>;

}  // namespace hybridserve
