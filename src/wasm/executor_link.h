// ExecutorLink: the server's end of one executor process: calls in flight, and what it was told.
//
// Thread rule: the event loop's thread only.
#pragma once

#include <array>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/awaitable.h"
#include "wasm/executor_host.h"
#include "wasm/executor_protocol.h"

namespace hybridserve {

class ExecutorLink : public std::enable_shared_from_this<ExecutorLink> {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  /// One invocation, on its coroutine's frame from Begin until End.
  struct Call {
    uint64_t id = 0;       ///< Set by Begin.
    TimePoint kill_at;     ///< The executor is killed when it has not answered by then.
    bool died = false;     ///< The link ended without an answer; the rest is empty.
    bool overdue = false;  ///< It died because of this very call.
    Outcome outcome;       ///< Its views are empty: the strings below hold what they showed.
    std::string message;
    std::string log;
    std::string output;
    UniqueFd output_file;
    /// What resumes the waiting coroutine.
    std::optional<boost::asio::async_result<boost::asio::use_awaitable_t<>, void()>::handler_type>
        done;
  };

  /// `on_end` is called once, from End(), before the calls in flight complete.
  ExecutorLink(boost::asio::any_io_executor executor, StartedExecutor started,
               std::function<void(ExecutorLink&, std::string_view why)> on_end);

  /// Starts to receive.
  void Start();
  /// Ends the link: every call in flight completes as died. Idempotent.
  void End(std::string_view why);
  [[nodiscard]] bool alive() const { return alive_; }
  [[nodiscard]] ExecutorId id() const { return id_; }
  [[nodiscard]] pid_t pid() const { return pid_; }

  void Begin(Call& call);
  /// Sends the call's datagram: waits while the socket is full. `parts` and `fds` are copied only
  /// in that case. Errors: kUnavailable the socket is full: await Writable() and send again;
  /// kInternal the executor is gone.
  Result<> Send(std::span<const std::string_view> parts, std::span<const int> fds);
  /// Returns when Send may be tried again, or the coroutine is cancelled.
  boost::asio::awaitable<void> Writable();
  /// Returns when the call's fields are filled. Cancellation of the coroutine cancels the guest;
  /// this still waits for the executor's answer.
  boost::asio::awaitable<void> Done(Call& call);
  /// For a call that was begun and whose answer will not be awaited.
  void Abandon(Call& call);

  void Unload(uint64_t module);

 private:
  void ArmRead();
  void OnReadable();
  void Complete(Call& call);
  void Accept(const Outcome& outcome, std::vector<UniqueFd>& fds);
  void Control(ControlKind kind, uint64_t id);
  void FlushControl();
  void ArmKillTimer();
  void OnKillTimer();

  boost::asio::any_io_executor executor_;
  ExecutorId id_;
  pid_t pid_;
  boost::asio::posix::stream_descriptor data_;
  boost::asio::posix::stream_descriptor control_;
  boost::asio::steady_timer kill_timer_;
  std::function<void(ExecutorLink&, std::string_view)> on_end_;
  bool alive_ = true;
  bool kill_timer_armed_ = false;
  bool flushing_control_ = false;
  uint64_t sequence_ = 0;
  size_t in_flight_ = 0;
  std::vector<Call*> calls_;    // By the low bits of a call's id; nullptr: free.
  std::vector<uint32_t> free_;  // Free places of calls_.
  std::deque<std::array<char, kControlBytes>> control_queue_;
  std::vector<char> buffer_;
};

}  // namespace hybridserve
