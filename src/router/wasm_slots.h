// WasmSlots: who may run a guest now. The node runs at most so many guests at once and each
// function at most its own limit; who must wait stands in its function's queue, and a slot that
// becomes free goes round robin over the functions that wait, so that one busy function cannot
// starve another.
//
// A function whose guests do not end must not hold every slot until their run_timeout: one takes a
// further slot only while it has fewer than kShareOfFree times those that are free, so alone it
// gets three quarters of them, two get three sevenths each, and a newcomer finds one free
// (Choudhury and Hahne, "Dynamic queue length thresholds for shared-memory packet switches", 1998).
//
// A slot is given back by its destructor, so a cancelled or failed request never leaks one.
//
// Thread rule: the event loop's thread only.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/intrusive/list.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "base/awaitable.h"
#include "container/clock.h"
#include "container/pool.h"

namespace hybridserve {

class WasmSlots {
 public:
  class Share;

  /// The right to run one guest. Falsy when moved from.
  class Slot {
   public:
    Slot() = default;
    Slot(Slot&& other) noexcept
        : slots_(std::exchange(other.slots_, nullptr)), share_(other.share_) {}
    Slot& operator=(Slot&& other) noexcept {
      if (this != &other) {
        Release();
        slots_ = std::exchange(other.slots_, nullptr);
        share_ = other.share_;
      }
      return *this;
    }
    ~Slot() { Release(); }
    explicit operator bool() const { return slots_ != nullptr; }
    void Release() {
      if (WasmSlots* slots = std::exchange(slots_, nullptr)) slots->OnRelease(*share_);
    }

   private:
    friend class WasmSlots;
    Slot(WasmSlots* slots, Share* share) : slots_(slots), share_(share) {}
    WasmSlots* slots_ = nullptr;
    Share* share_ = nullptr;
  };

  /// What a waiting request got: a slot for a guest, or a container's slot that became free first.
  struct Ticket {
    Slot wasm;
    std::unique_ptr<ContainerPool::Slot> container;
  };

 private:
  using RingLink =
      boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

  struct Waiter;  // One waiting request; lives on its coroutine's frame.
  struct Waiters;

 public:
  /// One function's part: its limit, what runs, who waits. Outlives its slots and its waiters.
  class Share : public RingLink {
   public:
    Share();
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;
    ~Share();  // Leaves the ring.
    [[nodiscard]] uint32_t running() const { return running_; }
    [[nodiscard]] uint32_t waiting() const;

   private:
    friend class WasmSlots;
    uint32_t limit_ = 1;
    uint32_t running_ = 0;
    std::unique_ptr<Waiters> waiters_;  // Made when somebody first waits.
  };

  /// `node_slots` is asked each time: executors come and go. `clock` outlives the object.
  WasmSlots(boost::asio::any_io_executor executor, Clock& clock,
            std::function<uint32_t()> node_slots);
  ~WasmSlots();
  WasmSlots(const WasmSlots&) = delete;
  WasmSlots& operator=(const WasmSlots&) = delete;

  /// How many guests of this function may run at once from now on.
  void SetLimit(Share& share, uint32_t limit);

  /// A slot, if one is free and nobody of the function waits; else a falsy one.
  [[nodiscard]] Slot TryTake(Share& share);

  /// Whether the waiting request may be given a container's slot instead.
  enum class Divert { kAllowed, kForbidden };

  /// Waits in the function's queue. Errors: kTimeout after `timeout`; kCancelled the client went
  /// away. The caller bounds the queue (Share::waiting()).
  Awaitable<Ticket> Wait(Share& share, std::chrono::milliseconds timeout, Divert divert);

  /// Offers container slots, as long as `next` gives one, to those of the function that wait and
  /// may be diverted, oldest first.
  void OfferContainers(Share& share,
                       const std::function<std::unique_ptr<ContainerPool::Slot>()>& next);

  [[nodiscard]] uint32_t running() const { return running_; }
  [[nodiscard]] uint32_t waiting() const { return waiting_; }

 private:
  // Of the free slots, how many times as many one function may hold.
  static constexpr uint32_t kShareOfFree = 3;

  [[nodiscard]] bool HasRoom(const Share& share) const;
  void OnRelease(Share& share);
  void Dispatch();
  void Enqueue(Share& share, Waiter& waiter);
  void Dequeue(Waiter& waiter);
  void UpdateRing(Share& share);

  boost::asio::any_io_executor executor_;
  Clock& clock_;
  std::function<uint32_t()> node_slots_;
  uint32_t running_ = 0;
  uint32_t waiting_ = 0;
  // The functions that wait and are below their own limit, in the order of their turns.
  boost::intrusive::list<Share, boost::intrusive::constant_time_size<false>> ring_;
};

}  // namespace hybridserve
