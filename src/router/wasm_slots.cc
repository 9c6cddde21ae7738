#include "router/wasm_slots.h"

#include <algorithm>
#include <boost/asio/this_coro.hpp>
#include <string>

#include "container/event.h"

namespace hybridserve {

namespace asio = boost::asio;

struct WasmSlots::Waiter : boost::intrusive::list_base_hook<> {
  Waiter(WasmSlots& owner, Share& in, Divert may_divert)
      : slots(owner), share(in), divert(may_divert), changed(owner.executor_) {}
  ~Waiter() {
    if (is_linked()) slots.Dequeue(*this);
  }
  void Grant(Ticket granted) {
    ticket = std::move(granted);
    changed.Set();
  }

  WasmSlots& slots;
  Share& share;
  Divert divert;
  Ticket ticket;
  Event changed;
};

struct WasmSlots::Waiters
    : boost::intrusive::list<Waiter, boost::intrusive::constant_time_size<true>> {};

WasmSlots::Share::Share() = default;
WasmSlots::Share::~Share() = default;

uint32_t WasmSlots::Share::waiting() const {
  return waiters_ ? static_cast<uint32_t>(waiters_->size()) : 0;
}

WasmSlots::WasmSlots(asio::any_io_executor executor, Clock& clock,
                     std::function<uint32_t()> node_slots)
    : executor_(std::move(executor)), clock_(clock), node_slots_(std::move(node_slots)) {}

WasmSlots::~WasmSlots() = default;

void WasmSlots::SetLimit(Share& share, uint32_t limit) {
  share.limit_ = limit;
  UpdateRing(share);
  Dispatch();
}

WasmSlots::Slot WasmSlots::TryTake(Share& share) {
  if (share.waiting() > 0 || share.running_ >= share.limit_ || !HasRoom(share)) return {};
  ++share.running_;
  ++running_;
  return Slot(this, &share);
}

Awaitable<WasmSlots::Ticket> WasmSlots::Wait(Share& share, std::chrono::milliseconds timeout,
                                             Divert divert) {
  Waiter waiter(*this, share, divert);
  Enqueue(share, waiter);
  Dispatch();
  const Clock::TimePoint deadline = clock_.Now() + timeout;
  if (waiter.is_linked()) co_await waiter.changed.WaitUntil(clock_, deadline);
  const auto state = co_await asio::this_coro::cancellation_state;
  if (state.cancelled() != asio::cancellation_type::none) {
    co_return Fail(Code::kCancelled, "the client went away while its request waited for a slot");
  }
  if (waiter.is_linked()) {
    co_return Fail(Code::kTimeout, "queue timeout: the request waited " +
                                       std::to_string(timeout.count()) + " ms for a free slot");
  }
  co_return std::move(waiter.ticket);
}

void WasmSlots::OfferContainers(Share& share,
                                const std::function<std::unique_ptr<ContainerPool::Slot>()>& next) {
  if (!share.waiters_) return;
  for (auto at = share.waiters_->begin(); at != share.waiters_->end();) {
    Waiter& waiter = *at++;
    if (waiter.divert == Divert::kForbidden) continue;
    auto container = next();
    if (!container) return;
    Dequeue(waiter);
    waiter.Grant(Ticket{{}, std::move(container)});
  }
}

void WasmSlots::OnRelease(Share& share) {
  --share.running_;
  --running_;
  UpdateRing(share);
  Dispatch();
}

// Whether the node has a slot for one more guest of this function.
bool WasmSlots::HasRoom(const Share& share) const {
  const uint32_t all = node_slots_();
  const uint32_t free = all > running_ ? all - running_ : 0;
  return share.running_ < uint64_t{kShareOfFree} * free;
}

void WasmSlots::Dispatch() {
  while (true) {
    const auto next = std::find_if(ring_.begin(), ring_.end(),
                                   [this](const Share& share) { return HasRoom(share); });
    if (next == ring_.end()) return;
    Share& share = *next;
    Waiter& waiter = share.waiters_->front();
    ++share.running_;
    ++running_;
    share.unlink();  // To the end of the ring, if it still waits and may run more.
    Dequeue(waiter);
    waiter.Grant(Ticket{Slot(this, &share), nullptr});
  }
}

void WasmSlots::Enqueue(Share& share, Waiter& waiter) {
  if (!share.waiters_) share.waiters_ = std::make_unique<Waiters>();
  share.waiters_->push_back(waiter);
  ++waiting_;
  UpdateRing(share);
}

void WasmSlots::Dequeue(Waiter& waiter) {
  waiter.share.waiters_->erase(Waiters::s_iterator_to(waiter));
  --waiting_;
  UpdateRing(waiter.share);
}

void WasmSlots::UpdateRing(Share& share) {
  const bool may_run = share.waiting() > 0 && share.running_ < share.limit_;
  if (may_run && !share.is_linked()) ring_.push_back(share);
  if (!may_run && share.is_linked()) share.unlink();
}

}  // namespace hybridserve
