#include "cli/progress.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "cli/format.h"

namespace hybridserve::cli {
namespace {

using std::chrono::steady_clock;

constexpr auto kRedraw = std::chrono::milliseconds(100);
constexpr std::string_view kClearLine = "\r\033[K";

}  // namespace

std::string ProgressBar(uint64_t done, uint64_t total) {
  constexpr size_t kCells = 20;
  const double ratio =
      total == 0 ? 1.0 : std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
  const auto filled = static_cast<size_t>(ratio * kCells);
  std::string percent = std::to_string(static_cast<int>(ratio * 100));
  percent.insert(0, 3 - std::min<size_t>(3, percent.size()), ' ');
  return "[" + std::string(filled, '#') + std::string(kCells - filled, '-') + "] " + percent + " %";
}

struct Progress::Impl {
  const Terminal& terminal;
  std::mutex mutex;
  std::condition_variable wake;
  bool running = false;  // A step is being shown.
  bool ending = false;
  std::string message;
  uint64_t done = 0;
  uint64_t total = 0;
  steady_clock::time_point begun;
  std::thread ticker;

  explicit Impl(const Terminal& shown_on) : terminal(shown_on) {
    if (terminal.animate) ticker = std::thread([this] { Tick(); });
  }

  ~Impl() {
    {
      std::lock_guard lock(mutex);
      ending = true;
    }
    wake.notify_all();
    if (ticker.joinable()) ticker.join();
  }

  // With the lock held.
  void Draw() const {
    std::string line(kClearLine);
    line += message;
    if (total > 0) {
      line += "  " + ProgressBar(done, total) + "  " + HumanBytes(done);
    } else if (auto elapsed = steady_clock::now() - begun; elapsed >= std::chrono::seconds(1)) {
      line += "  " +
              std::to_string(std::chrono::duration_cast<std::chrono::seconds>(elapsed).count()) +
              " s";
    }
    terminal.Note(line);
  }

  void Tick() {
    std::unique_lock lock(mutex);
    while (!ending) {
      wake.wait_for(lock, kRedraw);
      if (running && !ending) Draw();
    }
  }
};

Progress::Progress(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Progress::Progress(const Terminal& terminal) : impl_(std::make_unique<Impl>(terminal)) {}
Progress Progress::Silent() { return Progress(std::unique_ptr<Impl>()); }
Progress::Progress(Progress&&) noexcept = default;
Progress::~Progress() { Finish(); }

void Progress::Step(std::string_view message) {
  if (impl_ == nullptr) return;
  Finish();
  std::lock_guard lock(impl_->mutex);
  impl_->message = Printable(message);
  impl_->done = impl_->total = 0;
  impl_->begun = steady_clock::now();
  if (impl_->terminal.animate) {
    impl_->running = true;
    impl_->Draw();
  } else {
    impl_->terminal.Note(impl_->message + "\n");
  }
}

void Progress::Advance(uint64_t done, uint64_t total) {
  if (impl_ == nullptr) return;
  std::lock_guard lock(impl_->mutex);
  impl_->done = done;
  impl_->total = total;
}

void Progress::Finish() {
  if (impl_ == nullptr) return;
  std::lock_guard lock(impl_->mutex);
  if (!impl_->running) return;
  impl_->running = false;
  impl_->terminal.Note(kClearLine);
}

}  // namespace hybridserve::cli
