// Clock: the time, and calls at a time. Everything of the pool that waits goes through it, so that
// tests move the time by hand.
//
// Any number of pending calls share one timer, and a call that is taken back costs no system call:
// deadlines that almost never come are cheap.
//
// Thread rule: the event loop's thread only.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <utility>

namespace hybridserve {

class Clock {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  using Handler = std::function<void()>;

  /// One pending call. Its destructor takes the call back; it may outlive the clock.
  class Ticket {
   public:
    Ticket() = default;
    Ticket(Ticket&&) noexcept = default;
    Ticket& operator=(Ticket&& other) noexcept;
    ~Ticket() { Cancel(); }
    void Cancel();

   private:
    friend class Clock;
    using Key = std::pair<TimePoint, uint64_t>;
    using Pending = std::map<Key, Handler>;
    Ticket(std::weak_ptr<Pending> pending, Key key) : pending_(std::move(pending)), key_(key) {}
    std::weak_ptr<Pending> pending_;
    Key key_{};
  };

  Clock() = default;
  virtual ~Clock() = default;
  Clock(const Clock&) = delete;
  Clock& operator=(const Clock&) = delete;

  [[nodiscard]] virtual TimePoint Now() const = 0;

  /// Calls `handler` from the event loop once `when` has come, never from inside this call.
  [[nodiscard]] Ticket At(TimePoint when, Handler handler);

 protected:
  /// A call was added that comes before all others.
  virtual void Rearm(TimePoint first) = 0;
  /// Makes every call that is due at `now`, in order of their times.
  void RunDue(TimePoint now);
  /// When the first pending call is due, or TimePoint::max().
  [[nodiscard]] TimePoint First() const;

 private:
  // Shared with tickets, which only look at it while the clock is alive.
  std::shared_ptr<Ticket::Pending> pending_ = std::make_shared<Ticket::Pending>();
  uint64_t next_ = 0;
};

/// The system's monotonic clock.
class SystemClock : public Clock {
 public:
  explicit SystemClock(const boost::asio::any_io_executor& executor);
  ~SystemClock() override;
  [[nodiscard]] TimePoint Now() const override { return std::chrono::steady_clock::now(); }

 private:
  struct Timer;
  void Rearm(TimePoint first) override;
  // Shared with the pending wait, whose handler may run after the clock is gone.
  std::shared_ptr<Timer> timer_;
};

/// A clock for tests: it stands still until it is moved.
class ManualClock : public Clock {
 public:
  [[nodiscard]] TimePoint Now() const override { return now_; }
  /// Moves the time and makes the calls that become due. Run the event loop afterwards.
  void Advance(std::chrono::steady_clock::duration by) {
    now_ += by;
    RunDue(now_);
  }
  /// When the next call is due; TimePoint::max() when none is pending.
  [[nodiscard]] TimePoint Next() const { return First(); }

 private:
  void Rearm(TimePoint /*first*/) override {}
  TimePoint now_{std::chrono::hours(1000)};
};

}  // namespace hybridserve
