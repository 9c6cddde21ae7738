#include "wasm/executor_link.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "ipc/seqpacket.h"

namespace hybridserve {

namespace asio = boost::asio;

namespace {

// A call's place in the table is in the low bits of its id, so that an answer is found at once; the
// rest makes the id unique.
constexpr uint32_t kPlaceBits = 16;
constexpr uint64_t kPlaceMask = (1u << kPlaceBits) - 1;
// Answers taken in one go, before the event loop sees to others.
constexpr int kMaxAnswersInARow = 64;
constexpr std::chrono::milliseconds kKillCheck{500};

}  // namespace

ExecutorLink::ExecutorLink(asio::any_io_executor executor, StartedExecutor started,
                           std::function<void(ExecutorLink&, std::string_view)> on_end)
    : executor_(std::move(executor)),
      id_(started.id),
      pid_(started.pid),
      data_(executor_, started.data.Release()),
      control_(executor_, started.control.Release()),
      kill_timer_(executor_),
      on_end_(std::move(on_end)),
      buffer_(ipc::kMaxDatagramBytes) {}

void ExecutorLink::Start() { ArmRead(); }

void ExecutorLink::End(std::string_view why) {
  if (!alive_) return;
  alive_ = false;
  const std::shared_ptr<ExecutorLink> self = shared_from_this();
  kill_timer_.cancel();
  boost::system::error_code ignored;
  data_.close(ignored);
  control_.close(ignored);
  // First, so that those whose calls fail find another executor being started.
  on_end_(*self, why);
  for (size_t i = 0; i < calls_.size(); ++i) {
    if (calls_[i] == nullptr) continue;
    Call& call = *calls_[i];
    call.died = true;
    Complete(call);
  }
}

void ExecutorLink::Begin(Call& call) {
  if (free_.empty()) {
    free_.push_back(static_cast<uint32_t>(calls_.size()));
    calls_.push_back(nullptr);
  }
  const uint32_t place = free_.back();
  free_.pop_back();
  calls_[place] = &call;
  call.id = (++sequence_ << kPlaceBits) | place;
  ++in_flight_;
  ArmKillTimer();
}

void ExecutorLink::Abandon(Call& call) {
  const auto place = static_cast<uint32_t>(call.id & kPlaceMask);
  if (place >= calls_.size() || calls_[place] != &call) return;
  calls_[place] = nullptr;
  free_.push_back(place);
  --in_flight_;
}

Result<> ExecutorLink::Send(std::span<const std::string_view> parts, std::span<const int> fds) {
  if (!alive_) return Fail(Code::kInternal, "the executor is gone");
  return ipc::Send(data_.native_handle(), parts, fds, ipc::Wait::kDont);
}

asio::awaitable<void> ExecutorLink::Writable() {
  if (!alive_) co_return;
  const std::shared_ptr<ExecutorLink> self = shared_from_this();
  co_await data_.async_wait(asio::posix::stream_descriptor::wait_write,
                            asio::as_tuple(asio::use_awaitable));
}

asio::awaitable<void> ExecutorLink::Done(Call& call) {
  if (call.died) co_return;
  const auto initiate = [this, &call](auto&& handler) {
    auto slot = asio::get_associated_cancellation_slot(handler);
    if (slot.is_connected()) {
      const uint64_t id = call.id;
      slot.assign([this, id](asio::cancellation_type) { Control(ControlKind::kCancel, id); });
    }
    call.done.emplace(std::forward<decltype(handler)>(handler));
  };
  co_await asio::async_initiate<const asio::use_awaitable_t<>&, void()>(initiate,
                                                                        asio::use_awaitable);
}

void ExecutorLink::Complete(Call& call) {
  Abandon(call);
  if (!call.done) return;
  auto done = std::move(*call.done);
  call.done.reset();
  asio::get_associated_cancellation_slot(done).clear();
  done();  // From here on `call` may be gone.
}

void ExecutorLink::ArmRead() {
  data_.async_wait(asio::posix::stream_descriptor::wait_read,
                   [self = shared_from_this()](const boost::system::error_code& error) {
                     if (!error && self->alive_) self->OnReadable();
                   });
}

void ExecutorLink::OnReadable() {
  for (int i = 0; i < kMaxAnswersInARow && alive_; ++i) {
    Result<ipc::Received> received = ipc::Receive(data_.native_handle(), buffer_, ipc::Wait::kDont);
    if (!received) {
      if (received.error().code == Code::kUnavailable) break;
      return End(received.error().message);
    }
    if (received->size == 0) return End("it closed its socket");
    const Result<Outcome> outcome = DecodeOutcome({buffer_.data(), received->size});
    if (!outcome) return End(outcome.error().message);
    Accept(*outcome, received->fds);
    // With nothing more in flight there is nothing more to receive.
    if (in_flight_ == 0) break;
  }
  if (alive_) ArmRead();
}

void ExecutorLink::Accept(const Outcome& outcome, std::vector<UniqueFd>& fds) {
  const auto place = static_cast<size_t>(outcome.id & kPlaceMask);
  if (place >= calls_.size() || calls_[place] == nullptr || calls_[place]->id != outcome.id) {
    return End("it answered an invocation that is not under way");
  }
  if (outcome.output_in_file != (fds.size() == 1)) return End("it sent a wrong descriptor");
  Call& call = *calls_[place];
  call.message.assign(outcome.message);
  call.log.assign(outcome.log);
  call.output.assign(outcome.output);
  if (outcome.output_in_file) call.output_file = std::move(fds[0]);
  call.outcome = outcome;
  call.outcome.message = call.outcome.log = call.outcome.output = {};
  Complete(call);
}

void ExecutorLink::Unload(uint64_t module) { Control(ControlKind::kUnload, module); }

void ExecutorLink::Control(ControlKind kind, uint64_t id) {
  if (!alive_) return;
  control_queue_.push_back(EncodeControl({.kind = kind, .id = id}));
  if (!flushing_control_) FlushControl();
}

void ExecutorLink::FlushControl() {
  flushing_control_ = false;
  while (alive_ && !control_queue_.empty()) {
    const auto& bytes = control_queue_.front();
    const Result<> sent =
        ipc::Send(control_.native_handle(), std::string_view(bytes.data(), bytes.size()), {},
                  ipc::Wait::kDont);
    if (!sent && sent.error().code == Code::kUnavailable) {
      flushing_control_ = true;
      control_.async_wait(asio::posix::stream_descriptor::wait_write,
                          [self = shared_from_this()](const boost::system::error_code& error) {
                            if (!error) self->FlushControl();
                          });
      return;
    }
    // A failed send means that the executor is gone; the data socket tells.
    control_queue_.pop_front();
  }
}

void ExecutorLink::ArmKillTimer() {
  if (kill_timer_armed_) return;
  kill_timer_armed_ = true;
  kill_timer_.expires_after(kKillCheck);
  kill_timer_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
    if (!error) self->OnKillTimer();
  });
}

void ExecutorLink::OnKillTimer() {
  kill_timer_armed_ = false;
  const TimePoint now = std::chrono::steady_clock::now();
  bool overdue = false;
  for (Call* call : calls_) {
    if (call == nullptr || call->kill_at > now) continue;
    call->overdue = true;
    overdue = true;
  }
  if (overdue) return End("it did not end a guest that was over its run timeout");
  if (in_flight_ != 0) ArmKillTimer();
}

}  // namespace hybridserve
