#include "router/ticker.h"

#include <boost/asio/steady_timer.hpp>
#include <utility>

namespace hybridserve {

struct Ticker::State : std::enable_shared_from_this<State> {
  State(const boost::asio::any_io_executor& executor, std::function<Pause()> call)
      : timer(executor), tick(std::move(call)) {}

  void Arm(std::chrono::milliseconds pause) {
    timer.expires_after(pause);
    timer.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
      const auto state = weak.lock();
      if (error || !state) return;
      const Pause next = state->tick();
      state->running = next.has_value();
      if (next) state->Arm(*next);
    });
  }

  boost::asio::steady_timer timer;
  std::function<Pause()> tick;
  bool running = false;
};

Ticker::Ticker(boost::asio::any_io_executor executor, std::function<Pause()> tick)
    : state_(std::make_shared<State>(executor, std::move(tick))) {}

Ticker::~Ticker() = default;

void Ticker::Start(std::chrono::milliseconds pause) {
  if (std::exchange(state_->running, true)) return;
  state_->Arm(pause);
}

}  // namespace hybridserve
