// Forwarder: carries one exchange over one connection to a container and its answer back.
//
// A small request is one write and a small answer one read. Larger bodies stream, up and down at
// the same time, at flat memory: the next piece is read when the last one was taken.
//
// Thread rule: the event loop's thread only. One exchange per object; outlives Run.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <chrono>
#include <functional>
#include <optional>

#include "container/clock.h"
#include "container/connection.h"
#include "container/event.h"
#include "container/pool.h"
#include "container/request_head.h"
#include "container/response_parser.h"
#include "function/exchange.h"

namespace hybridserve {

using AddHeaders = std::function<void(ResponseHead&, Microseconds run_so_far)>;

class Forwarder {
 public:
  /// Request bodies up to this size go out with the head, in one write.
  static constexpr uint64_t kSmallBodyBytes = 64 * 1024;

  struct Outcome {
    Result<ForwardResult> result = ForwardResult{};
    /// The connection can carry the next request.
    bool reusable = false;
    /// A kept connection turned out to be closed before anything came back, and sending the request
    /// again, with Run on another connection, is safe.
    bool stale = false;
    /// The container ended the connection: its exit may say why.
    bool lost = false;
    /// The deadline passed while nobody but the container was waited for: it still works on it.
    bool overran = false;
  };

  /// All outlive the object.
  Forwarder(boost::asio::any_io_executor executor, Clock& clock, Exchange& exchange,
            std::chrono::milliseconds run_timeout, const AddHeaders& add_headers);

  /// Errors are those of ContainerPool::Slot::Forward. The connection is shut down unless reusable.
  boost::asio::awaitable<Outcome> Run(Connection& connection);

 private:
  // Going up.
  Awaitable<> CollectBody();
  Awaitable<> StreamUp();
  boost::asio::awaitable<void> Upload();
  void StartUpload();

  // Coming back.
  Awaitable<> Receive();
  Awaitable<> ReceiveHead();
  Awaitable<> ReceiveSmallBody();
  Awaitable<> SendWhole();
  Awaitable<> StreamDown();
  boost::asio::awaitable<void> Download();
  Awaitable<> RunDownload();
  [[nodiscard]] bool FitsBuffer() const;
  Result<std::string_view> Decode(char* bytes, size_t size);

  void OnDeadline();
  void CancelChildren();
  boost::asio::awaitable<void> StopChildren();
  tl::unexpected<Error> Lost(const Error* cause);
  Outcome Finish(Result<> received);
  [[nodiscard]] Microseconds RunSoFar() const;

  boost::asio::any_io_executor executor_;
  Clock& clock_;
  Exchange& exchange_;
  const std::chrono::milliseconds run_timeout_;
  const AddHeaders& add_headers_;

  Connection* connection_ = nullptr;
  ResponseParser parser_;
  Clock::TimePoint started_;
  Clock::Ticket deadline_;
  bool timed_out_ = false;
  bool overran_ = false;
  bool client_takes_ = false;  // A piece of the answer is on its way to the client.
  bool lost_ = false;          // the container ended the connection

  BodyFraming framing_;
  bool body_read_ = false;
  bool body_collected_ = false;  // whole, in small_body_: it can be sent again
  std::string small_body_;

  bool uploading_ = false;
  std::optional<Error> upload_error_;  // from the client's side
  bool upload_cut_ = false;            // the container stopped reading
  bool downloading_ = false;
  Result<> download_;
  Event child_ended_;
  boost::asio::cancellation_signal cancel_upload_;
  boost::asio::cancellation_signal cancel_download_;

  size_t filled_ = 0;      // bytes in connection_->in
  size_t body_begin_ = 0;  // where the answer's body begins in them
  std::string_view body_;  // decoded and not yet passed on
  bool surplus_ = false;   // bytes behind the end of the answer
  ForwardResult result_;
};

}  // namespace hybridserve
