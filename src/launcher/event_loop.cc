#include "launcher/event_loop.h"

#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace hybridserve::launcher {
namespace {

// A descriptor's number may be used again within one batch of events: the serial tells them apart.
uint64_t Tag(int fd, uint64_t serial) { return serial << 32 | static_cast<uint32_t>(fd); }

}  // namespace

Result<std::unique_ptr<EventLoop>> EventLoop::Open() {
  UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return FailErrno("epoll_create1");
  return std::unique_ptr<EventLoop>(new EventLoop(std::move(epoll)));
}

Result<> EventLoop::Watch(int fd, Interest interest, OnReady on_ready) {
  const uint64_t serial = next_serial_++ & 0xffffffff;
  epoll_event event{};
  event.events = interest == Interest::kRead ? EPOLLIN : EPOLLOUT;
  event.data.u64 = Tag(fd, serial);
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0)
    return FailErrno("watch a descriptor");
  watched_[fd] = {serial, std::make_shared<OnReady>(std::move(on_ready))};
  return {};
}

void EventLoop::Forget(int fd) {
  if (watched_.erase(fd) == 0) return;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

EventLoop::TimerId EventLoop::After(Clock::duration delay, std::function<void()> action) {
  const TimerId id{Clock::now() + delay, next_serial_++};
  timers_.emplace(id, std::move(action));
  return id;
}

void EventLoop::Run() {
  std::array<epoll_event, 64> events{};
  while (!stopped_) {
    const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()),
                                   MillisecondsToNextTimer());
    if (count < 0 && errno != EINTR) return;
    for (int i = 0; i < count && !stopped_; ++i) {
      const uint64_t tag = events[static_cast<size_t>(i)].data.u64;
      const auto found = watched_.find(static_cast<int>(tag & 0xffffffff));
      if (found == watched_.end() || Tag(found->first, found->second.serial) != tag) continue;
      const std::shared_ptr<OnReady> on_ready = found->second.on_ready;
      (*on_ready)();
    }
    RunTimers();
  }
}

void EventLoop::RunTimers() {
  const Clock::time_point now = Clock::now();
  while (!stopped_ && !timers_.empty() && timers_.begin()->first.first <= now) {
    const auto timer = timers_.extract(timers_.begin());
    timer.mapped()();
  }
}

int EventLoop::MillisecondsToNextTimer() const {
  if (timers_.empty()) return -1;
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(timers_.begin()->first.first - Clock::now());
  return static_cast<int>(std::clamp<int64_t>(left.count(), 0, 60'000));
}

}  // namespace hybridserve::launcher
