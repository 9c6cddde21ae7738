// Ticker: calls a function at a coarse interval while there is something to look after, in place of
// a timer for each thing. An idle node has no ticker running.
//
// Thread rule: the event loop's thread only.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <functional>
#include <memory>

namespace hybridserve {

class Ticker {
 public:
  enum class Next { kAgain, kStop };

  /// `tick` is called every `interval` from Start on, until it returns kStop or the ticker is
  /// destroyed.
  Ticker(boost::asio::any_io_executor executor, std::chrono::milliseconds interval,
         std::function<Next()> tick);
  ~Ticker();
  Ticker(const Ticker&) = delete;
  Ticker& operator=(const Ticker&) = delete;

  /// Nothing happens when it runs already.
  void Start();

 private:
  struct State;
  std::shared_ptr<State> state_;  // Shared by: the pending wait holds it weakly.
};

}  // namespace hybridserve
