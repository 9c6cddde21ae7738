#include "container/clock.h"

#include <boost/asio/steady_timer.hpp>

namespace hybridserve {

Clock::Ticket& Clock::Ticket::operator=(Ticket&& other) noexcept {
  if (this != &other) {
    Cancel();
    pending_ = std::move(other.pending_);
    key_ = other.key_;
  }
  return *this;
}

void Clock::Ticket::Cancel() {
  if (const auto pending = pending_.lock()) pending->erase(key_);
  pending_.reset();
}

Clock::Ticket Clock::At(TimePoint when, Handler handler) {
  const TimePoint first = First();
  const Ticket::Key key{when, next_++};
  pending_->emplace(key, std::move(handler));
  if (when < first) Rearm(when);
  return {pending_, key};
}

void Clock::RunDue(TimePoint now) {
  // A handler may add calls or take others back, so each round looks at the map afresh.
  const std::shared_ptr<Ticket::Pending> pending = pending_;
  while (!pending->empty() && pending->begin()->first.first <= now) {
    auto node = pending->extract(pending->begin());
    node.mapped()();
  }
}

Clock::TimePoint Clock::First() const {
  return pending_->empty() ? TimePoint::max() : pending_->begin()->first.first;
}

struct SystemClock::Timer {
  explicit Timer(const boost::asio::any_io_executor& executor) : timer(executor) {}
  boost::asio::steady_timer timer;
  SystemClock* clock = nullptr;        // nullptr once the clock is gone
  TimePoint armed = TimePoint::max();  // when the pending wait ends
};

SystemClock::SystemClock(const boost::asio::any_io_executor& executor)
    : timer_(std::make_shared<Timer>(executor)) {
  timer_->clock = this;
}

SystemClock::~SystemClock() {
  timer_->clock = nullptr;
  timer_->timer.cancel();
}

void SystemClock::Rearm(TimePoint first) {
  // A wait that ends earlier stays: when it ends, it is set anew. So calls that are taken back and
  // added again, one a request, do not touch the timer.
  if (timer_->armed <= first) return;
  timer_->armed = first;
  timer_->timer.expires_at(first);
  timer_->timer.async_wait([timer = timer_, first](const boost::system::error_code& error) {
    if (error || timer->clock == nullptr || timer->armed != first) return;
    timer->armed = TimePoint::max();
    SystemClock& clock = *timer->clock;
    clock.RunDue(clock.Now());
    if (timer->clock == nullptr) return;
    if (const TimePoint next = clock.First(); next != TimePoint::max()) clock.Rearm(next);
  });
}

}  // namespace hybridserve
