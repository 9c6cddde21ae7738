#include "router/wasm_code.h"

#include <algorithm>

namespace hybridserve {
namespace {

// Bounds what sweeping costs when many functions are due one after the other.
constexpr std::chrono::milliseconds kMinPause{5};

}  // namespace

WasmCode::WasmCode(Clock& clock, WasmBackend* backend, std::chrono::milliseconds max_pause)
    : backend_(backend),
      clock_(clock),
      max_pause_(max_pause),
      ticker_(clock, [this] { return Sweep(); }) {}

WasmCode::Use WasmCode::Begin(State& state, DeployedPtr revision) {
  if (revision == state.live_) {
    ++state.running_;
    if (!state.is_linked()) loaded_.push_back(state);
    ticker_.Start(PauseUntil(revision->manifest.scale.keep_alive));
  } else {
    const auto found = std::ranges::find(state.replaced_, revision, &State::Replaced::revision);
    if (found != state.replaced_.end()) {
      ++found->running;
    } else {
      state.replaced_.push_back({revision, 1});
    }
  }
  return {this, &state, std::move(revision)};
}

void WasmCode::SetLive(State& state, DeployedPtr revision) {
  const DeployedPtr before = std::exchange(state.live_, std::move(revision));
  const uint32_t running = std::exchange(state.running_, 0);
  if (!before || before == state.live_) {
    state.running_ = running;
    return;
  }
  const bool loaded = state.is_linked();
  const bool same_code = state.live_ && state.live_->module == before->module;
  if (loaded && !same_code) state.unlink();
  if (running > 0) {
    state.replaced_.push_back({before, running});
  } else if (loaded) {
    Unload(state, *before);
  }
}

void WasmCode::OnEnd(State& state, const DeployedPtr& revision) {
  if (revision == state.live_) {
    if (--state.running_ == 0) state.idle_since_ = clock_.Now();
    return;
  }
  const auto found = std::ranges::find(state.replaced_, revision, &State::Replaced::revision);
  if (found == state.replaced_.end() || --found->running > 0) return;
  state.replaced_.erase(found);
  Unload(state, *revision);
}

void WasmCode::Unload(const State& state, const Deployed& revision) {
  // Two revisions may share one module: then the code is still in use.
  if (state.live_ && state.live_->module == revision.module) return;
  backend_->Unload(revision);
}

// Rounded up, so that whoever is due at that moment is due when the sweep comes.
std::chrono::milliseconds WasmCode::PauseUntil(std::chrono::steady_clock::duration due_in) const {
  const auto pause = std::chrono::ceil<std::chrono::milliseconds>(due_in);
  return std::clamp(pause, std::min(kMinPause, max_pause_), max_pause_);
}

Ticker::Pause WasmCode::Sweep() {
  const auto now = clock_.Now();
  std::chrono::steady_clock::duration first_due = max_pause_;
  for (auto at = loaded_.begin(); at != loaded_.end();) {
    State& state = *at++;
    const std::chrono::steady_clock::duration keep_alive = state.live_->manifest.scale.keep_alive;
    const auto due_in = state.running_ > 0 ? keep_alive : state.idle_since_ + keep_alive - now;
    if (state.running_ > 0 || due_in.count() > 0) {
      first_due = std::min(first_due, due_in);
      continue;
    }
    state.unlink();
    backend_->Unload(*state.live_);
  }
  if (loaded_.empty()) return std::nullopt;
  return PauseUntil(first_due);
}

}  // namespace hybridserve
