// Gate: graceful stop. Work enters and leaves; once closed, no new work enters, and whoever closed
// it learns when the last one has left. (The idea is Seastar's gate.)
//
// Thread rule: one thread (the event loop's); no lock.
#pragma once

#include <cstddef>
#include <functional>
#include <utility>

namespace hybridserve {

class Gate {
 public:
  /// One unit of work inside the gate. Leaves when destroyed. Falsy when the gate was closed.
  class Pass {
   public:
    Pass() = default;
    Pass(Pass&& other) noexcept : gate_(std::exchange(other.gate_, nullptr)) {}
    Pass& operator=(Pass&& other) noexcept {
      if (this != &other) {
        Leave();
        gate_ = std::exchange(other.gate_, nullptr);
      }
      return *this;
    }
    ~Pass() { Leave(); }
    explicit operator bool() const { return gate_ != nullptr; }

   private:
    friend class Gate;
    explicit Pass(Gate* gate) : gate_(gate) {}
    void Leave() {
      if (Gate* gate = std::exchange(gate_, nullptr)) gate->OnLeave();
    }
    Gate* gate_ = nullptr;
  };

  Gate() = default;
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  /// A falsy Pass once closed.
  [[nodiscard]] Pass Enter() {
    if (closed_) return {};
    ++inside_;
    return Pass(this);
  }
  [[nodiscard]] size_t inside() const { return inside_; }
  [[nodiscard]] bool closed() const { return closed_; }

  /// Refuses new work and calls `when_empty` once, at once if nothing is inside.
  void Close(std::function<void()> when_empty) {
    closed_ = true;
    when_empty_ = std::move(when_empty);
    if (inside_ == 0) Fire();
  }

 private:
  void OnLeave() {
    if (--inside_ == 0 && closed_) Fire();
  }
  void Fire() {
    if (auto when_empty = std::exchange(when_empty_, nullptr)) when_empty();
  }

  size_t inside_ = 0;
  bool closed_ = false;
  std::function<void()> when_empty_;
};

}  // namespace hybridserve
