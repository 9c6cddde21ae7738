// EgressSession: one connection of a function to the forward proxy, request after request.
//
// One coroutine reads what the function sends into a buffer of bounded size, so that a function
// that goes away is noticed whatever the exchange waits for; another one serves the requests; a
// body that is sent up, and a tunnel's way up, have a third.
//
// Thread rule: the event loop's thread only.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "container/connection.h"
#include "container/event.h"
#include "egress/allow.h"
#include "egress/dialer.h"
#include "egress/message.h"
#include "egress/proxy.h"
#include "gateway/request_parser.h"

namespace hybridserve {

/// What sessions share; outlives each of them.
struct EgressParts {
  boost::asio::any_io_executor executor;
  EgressOptions options;
  Clock& clock;
  Dialer& dialer;
};

class EgressSession : public std::enable_shared_from_this<EgressSession> {
 public:
  /// Whether a connection without a request is closed after idle_timeout.
  enum class Idle : uint8_t { kCloses, kStays };

  /// `parts` is kept.
  EgressSession(std::shared_ptr<const EgressParts> parts, UniqueFd client, DeployedPtr function,
                FunctionCountsPtr counts, Idle idle);

  /// Serves until the function or Close ends the connection.
  boost::asio::awaitable<void> Run();
  /// Ends everything under way.
  void Close();

 private:
  using Failure = tl::expected<void, EgressFailure>;

  // The function's side.
  boost::asio::awaitable<void> ReadClient();
  /// Returns when there are more than `known` bytes in in_, or nothing more comes.
  boost::asio::awaitable<void> MoreThan(size_t known);
  boost::asio::awaitable<bool> ReadHead();
  boost::asio::awaitable<bool> Refuse(EgressFailure failure, bool keep_alive);

  // One request.
  boost::asio::awaitable<bool> ServeOne();
  boost::asio::awaitable<bool> Exchange();
  boost::asio::awaitable<Failure> Dial();
  boost::asio::awaitable<Failure> ReceiveHead();
  boost::asio::awaitable<bool> PassAnswer(AnswerFraming framing);
  boost::asio::awaitable<void> Upload();
  boost::asio::awaitable<bool> SendBody();
  boost::asio::awaitable<void> Tunnel();
  boost::asio::awaitable<void> TunnelUp();
  void StartChild(boost::asio::awaitable<void> child);
  boost::asio::awaitable<void> WaitForChild();
  void OnDeadline();
  void OnTunnelIdle();
  void Touch() { last_activity_ = parts_->clock.Now(); }
  [[nodiscard]] EgressFailure Lost(std::string what) const;
  void Count(EgressResult result, int status);

  std::shared_ptr<const EgressParts> parts_;
  Connection client_;
  const DeployedPtr function_;
  const FunctionCountsPtr counts_;
  const Idle idle_;
  const Allow allow_;

  std::string in_;  // Received from the function and not yet taken.
  size_t scanned_ = 0;
  bool client_ended_ = false;  // Nothing more comes from the function.
  bool closed_ = false;
  Event filled_;   // in_ has grown, or client_ended_.
  Event drained_;  // in_ has shrunk, or closed_.

  RequestParser parser_;
  RequestHead head_;
  Outbound outbound_;
  std::unique_ptr<Connection> upstream_;
  std::optional<ResponseParser> answer_;
  std::string from_upstream_;
  Clock::Ticket timer_;
  bool body_sent_ = false;   // The request's body is up, all of it.
  bool timed_out_ = false;
  bool answering_ = false;  // Something of the answer is with the function.
  bool child_runs_ = false;
  Event child_ended_;
  Clock::TimePoint last_activity_;
};

}  // namespace hybridserve
