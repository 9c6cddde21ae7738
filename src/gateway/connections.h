// Connections: what all connections of a gateway share. Their table, one coarse clock, and one tick
// every 100 ms, while there are any, that looks after deadlines and after clients that went away.
// No connection and no request has a timer of its own.
//
// Thread rule: the event loop's thread only.
#pragma once

#include <poll.h>

#include <boost/asio/any_io_executor.hpp>
#include <boost/intrusive/list.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/gate.h"
#include "container/clock.h"
#include "router/ticker.h"

namespace hybridserve {

using SteadyTime = std::chrono::steady_clock::time_point;
inline constexpr SteadyTime kNever = SteadyTime::max();

/// The side of a connection that the table sees.
class Watched : public boost::intrusive::list_base_hook<
                    boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
 public:
  virtual ~Watched() = default;
  /// The earliest of its deadlines; kNever: none.
  [[nodiscard]] virtual SteadyTime deadline() const = 0;
  /// A deadline passed: whatever it waits for ends.
  virtual void OnDeadline(SteadyTime now) = 0;
  /// The socket to watch for the client's leaving, or -1 while no request is with the router.
  [[nodiscard]] virtual int watched_socket() const = 0;
  /// The client went away, or the node does not wait any longer: the request is to end.
  virtual void Abandon() = 0;
  /// Ends a connection that waits for a request.
  virtual void CloseIdle() = 0;
  /// Whether a client has sent something that is not read yet.
  [[nodiscard]] virtual bool HasUnread() const = 0;
};

class Connections {
 public:
  using Now = std::function<SteadyTime()>;

  Connections(boost::asio::any_io_executor executor, Now now, std::chrono::milliseconds tick);

  /// A connection enters. Falsy: the gateway drains.
  [[nodiscard]] Gate::Pass Enter();
  /// It waits for a request, or has one. It leaves the table when it is destroyed.
  void SetIdle(Watched& connection);
  void SetActive(Watched& connection);

  /// Closes the connection that has waited longest for a request; false when none waits.
  bool CloseLongestIdle();

  /// From now on each answer is the last of its connection.
  void AnnounceDrain() { draining_ = true; }
  /// No more connections enter, those that wait for a request are closed, and `when_empty` is
  /// called once the last has gone.
  void Drain(std::function<void()> when_empty);
  /// Every request that is still here is to end.
  void AbandonAll();

  [[nodiscard]] size_t count() const { return gate_.inside(); }
  [[nodiscard]] bool draining() const { return draining_; }
  /// The time of the last tick: cheap, and at most one tick late.
  [[nodiscard]] SteadyTime coarse_now() const { return coarse_now_; }
  /// The date header's value.
  [[nodiscard]] const std::string& date() const { return date_; }
  /// A request id of 16 hex digits, unique on this node, in `out`.
  void NewRequestId(std::string& out);

 private:
  using List = boost::intrusive::list<Watched, boost::intrusive::constant_time_size<false>>;

  Ticker::Pause Tick();
  void RefreshClock();
  /// Ends connections whose time is up, so many that others do not wait for it; false: more are
  /// left.
  bool EndOverdue();
  void FindGoneClients();

  Now now_;
  Gate gate_;
  bool draining_ = false;
  List idle_;  // In the order in which they became idle.
  List active_;
  SteadyTime coarse_now_;
  int64_t date_second_ = 0;
  std::string date_;
  uint64_t request_id_seed_;
  uint64_t requests_ = 0;
  std::vector<pollfd> sockets_;  // Of one tick; members so that their memory is used again.
  std::vector<Watched*> watched_;
  std::chrono::milliseconds tick_;
  SystemClock clock_;
  Ticker ticker_;
};

}  // namespace hybridserve
