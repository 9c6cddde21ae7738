#include "router/ticker.h"

#include <boost/asio/steady_timer.hpp>
#include <utility>

namespace hybridserve {

struct Ticker::State : std::enable_shared_from_this<State> {
  State(const boost::asio::any_io_executor& executor, std::chrono::milliseconds every,
        std::function<Next()> call)
      : timer(executor), interval(every), tick(std::move(call)) {}

  void Arm() {
    timer.expires_after(interval);
    timer.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
      const auto state = weak.lock();
      if (error || !state) return;
      state->running = state->tick() == Next::kAgain;
      if (state->running) state->Arm();
    });
  }

  boost::asio::steady_timer timer;
  std::chrono::milliseconds interval;
  std::function<Next()> tick;
  bool running = false;
};

Ticker::Ticker(boost::asio::any_io_executor executor, std::chrono::milliseconds interval,
               std::function<Next()> tick)
    : state_(std::make_shared<State>(executor, interval, std::move(tick))) {}

Ticker::~Ticker() = default;

void Ticker::Start() {
  if (std::exchange(state_->running, true)) return;
  state_->Arm();
}

}  // namespace hybridserve
