// LauncherFixture's templates.
//
// Thread rule: one thread.
#pragma once

#include <boost/asio/co_spawn.hpp>

namespace hybridserve::launcher {

template <typename T>
Result<T> LauncherFixture::Wait(Awaitable<T> call) {
  std::optional<Result<T>> result;
  boost::asio::co_spawn(loop_, std::move(call), [&result](std::exception_ptr, Result<T> ended) {
    result = std::move(ended);
  });
  if (!RunUntil([&result] { return result.has_value(); })) {
    return Fail(Code::kTimeout, "the test waited 20 seconds for the launcher");
  }
  return std::move(*result);
}

}  // namespace hybridserve::launcher
