// WasmCode: when a function's native code leaves the executor's memory: after scale.keep_alive
// without a request (scale to zero), and as soon as a revision that was replaced or removed has
// finished its last request. One sweep over the functions whose code is loaded, when the first of
// them may be due; no timer per function.
//
// Thread rule: the event loop's thread only.
#pragma once

#include <boost/intrusive/list.hpp>
#include <chrono>
#include <cstdint>
#include <utility>
#include <vector>

#include "container/clock.h"
#include "function/deployed.h"
#include "router/ticker.h"
#include "wasm/backend.h"

namespace hybridserve {

class WasmCode {
 private:
  using Link =
      boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

 public:
  /// What is kept of one function. Outlives its uses.
  class State : public Link {
   private:
    friend class WasmCode;
    struct Replaced {
      DeployedPtr revision;
      uint32_t running = 0;
    };
    DeployedPtr live_;      // nullptr once the function was removed.
    uint32_t running_ = 0;  // Of the live revision.
    std::chrono::steady_clock::time_point idle_since_;
    std::vector<Replaced> replaced_;  // Older revisions that still run.
  };

  /// One running guest. While it exists the revision's code stays.
  class Use {
   public:
    Use() = default;
    Use(WasmCode* code, State* state, DeployedPtr revision)
        : code_(code), state_(state), revision_(std::move(revision)) {}
    Use(Use&& other) noexcept
        : code_(std::exchange(other.code_, nullptr)),
          state_(other.state_),
          revision_(std::move(other.revision_)) {}
    Use& operator=(Use&&) = delete;
    ~Use() { End(); }
    void End() {
      if (WasmCode* code = std::exchange(code_, nullptr)) code->OnEnd(*state_, revision_);
    }

   private:
    WasmCode* code_ = nullptr;
    State* state_ = nullptr;
    DeployedPtr revision_;
  };

  /// `backend` may be nullptr: then nothing is ever used or unloaded.
  /// `max_pause` is how late code may be unloaded at most.
  /// `clock` outlives the object.
  WasmCode(Clock& clock, WasmBackend* backend, std::chrono::milliseconds max_pause);

  [[nodiscard]] Use Begin(State& state, DeployedPtr revision);
  /// `revision` is the live one from now on; nullptr: the function was removed.
  void SetLive(State& state, DeployedPtr revision);

 private:
  void OnEnd(State& state, const DeployedPtr& revision);
  void Unload(const State& state, const Deployed& revision);
  Ticker::Pause Sweep();
  [[nodiscard]] std::chrono::milliseconds PauseUntil(
      std::chrono::steady_clock::duration due_in) const;

  WasmBackend* backend_;
  Clock& clock_;
  std::chrono::milliseconds max_pause_;
  // Functions whose live revision ran since its code was last unloaded.
  boost::intrusive::list<State, boost::intrusive::constant_time_size<false>> loaded_;
  Ticker ticker_;
};

}  // namespace hybridserve
