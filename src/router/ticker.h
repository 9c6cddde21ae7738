// Ticker: calls a function now and then while there is something to look after, in place of a timer
// for each thing. An idle node has no ticker running.
//
// Thread rule: the event loop's thread only.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>

namespace hybridserve {

class Ticker {
 public:
  /// How long until the next call; nullopt: there is nothing left to look after.
  using Pause = std::optional<std::chrono::milliseconds>;

  /// `tick` is called from Start on, until it returns nullopt or the ticker is destroyed.
  Ticker(boost::asio::any_io_executor executor, std::function<Pause()> tick);
  ~Ticker();
  Ticker(const Ticker&) = delete;
  Ticker& operator=(const Ticker&) = delete;

  /// The first call comes after `pause`. Nothing happens when it runs already.
  void Start(std::chrono::milliseconds pause);

 private:
  struct State;
  std::shared_ptr<State> state_;  // Shared by: the pending wait holds it weakly.
};

}  // namespace hybridserve
