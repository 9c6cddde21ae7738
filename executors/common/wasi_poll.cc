// poll_oneoff of preview 1. Descriptors but sockets are always ready: files, or streams that never
// block. So a poll sleeps only when it asks for clocks and sockets alone.
#include <algorithm>

#include "executors/common/wasi.h"

namespace hybridserve::wasi {
namespace {

constexpr uint32_t kMaxSubscriptions = 1024;

uint32_t Code(Errno error) { return static_cast<uint32_t>(error); }

}  // namespace

Errno Wasi::ReadWait(const Subscription& sub, std::vector<pollfd>& polled, Wait& wait) {
  if (sub.type == kEventClock) {
    if (sub.clock_or_fd > kClockMonotonic) return Errno::kSuccess;  // An event with an error.
    const uint64_t now = (sub.flags & kClockAbsolute) != 0 ? Now(sub.clock_or_fd) : 0;
    wait.remaining_ns = sub.timeout > now ? sub.timeout - now : Wait::kReady;
    return Errno::kSuccess;
  }
  const Descriptor* socket = FindSocket(sub.clock_or_fd);
  if (socket == nullptr) return Errno::kSuccess;
  if (polled.size() == Guard::kMaxPolled) return Errno::kInval;
  const int16_t events = sub.type == kEventFdRead ? POLLIN | POLLRDHUP : POLLOUT;
  wait = {.remaining_ns = UINT64_MAX, .polled = static_cast<int>(polled.size())};
  polled.push_back({socket->fd, events, 0});
  return Errno::kSuccess;
}

uint32_t Wasi::PollOneoff(Memory m, Arguments a) {
  const auto count = static_cast<uint32_t>(a[2]);
  if (count == 0 || count > kMaxSubscriptions) return Code(Errno::kInval);
  std::vector<Wait> waits(count);
  std::vector<pollfd> polled;
  uint64_t shortest_ns = UINT64_MAX;
  for (uint32_t i = 0; i < count; ++i) {
    Subscription sub;
    if (!m.Read(a[0] + uint64_t{i} * sizeof(sub), sub)) return Code(Errno::kFault);
    const Errno error = ReadWait(sub, polled, waits[i]);
    if (error != Errno::kSuccess) return Code(error);
    shortest_ns = std::min(shortest_ns, waits[i].remaining_ns);
  }
  if (shortest_ns != Wait::kReady || !polled.empty()) {
    // A year stands for ever: the deadline ends it long before.
    constexpr uint64_t kForever = 365ull * 24 * 3600 * 1'000'000'000;
    const auto until =
        SteadyClock::now() + std::chrono::nanoseconds(std::min(shortest_ns, kForever));
    const Stop stop = polled.empty() ? guard_.WaitUntil(until) : guard_.Poll(polled, until);
    if (stop != Stop::kNo) return Ended(stop);
  }
  const bool socket_ready = std::any_of(polled.begin(), polled.end(),
                                        [](const pollfd& one) { return one.revents != 0; });
  // A socket that is ready ended the sleep before the clocks were due.
  const uint64_t passed_ns = socket_ready ? Wait::kReady : shortest_ns;
  return AnswerPoll(m, a, waits, polled, passed_ns);
}

uint32_t Wasi::AnswerPoll(Memory m, Arguments a, std::span<const Wait> waits,
                          std::span<const pollfd> polled, uint64_t passed_ns) {
  uint32_t events = 0;
  for (size_t i = 0; i < waits.size(); ++i) {
    const bool is_socket = waits[i].polled != Wait::kNoSocket;
    const int16_t revents = is_socket ? polled[static_cast<size_t>(waits[i].polled)].revents : 0;
    if (is_socket ? revents == 0 : waits[i].remaining_ns > passed_ns) continue;
    Subscription sub;
    if (!m.Read(a[0] + uint64_t{i} * sizeof(sub), sub)) return Code(Errno::kFault);
    Event event = MakeEvent(sub);
    if ((revents & (POLLHUP | POLLRDHUP)) != 0) event.flags = kEventHangup;
    if (!m.Write(a[1] + uint64_t{events} * sizeof(event), event)) return Code(Errno::kFault);
    ++events;
  }
  return Code(m.Write(a[3], events) ? Errno::kSuccess : Errno::kFault);
}

Event Wasi::MakeEvent(const Subscription& sub) {
  Event event{.userdata = sub.userdata, .type = sub.type};
  if (sub.type == kEventClock) {
    if (sub.clock_or_fd > kClockMonotonic) event.error = Errno::kInval;
    return event;
  }
  const Descriptor* descriptor = Find(sub.clock_or_fd);
  if (descriptor == nullptr) {
    event.error = Errno::kBadf;
  } else if (descriptor->kind == Kind::kInput) {
    event.nbytes = invocation_.body.size() - body_position_;
  } else {
    event.nbytes = 1;
  }
  return event;
}

}  // namespace hybridserve::wasi
