#include "client/load.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <list>
#include <memory>
#include <optional>
#include <vector>

#include "base/unique_fd.h"
#include "client/answer_reader.h"

namespace hybridserve::bench {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::nanoseconds;

struct Stream {
  UniqueFd fd;
  bool busy = false;
  bool connecting = false;
  nanoseconds due{};      // Of the request on its way.
  size_t sent_bytes = 0;  // Of it.
  AnswerReader answer;
  std::list<Stream*>::iterator
      in_flight;  // Its place among the requests on their way, by due time.
};

class Loader {
 public:
  explicit Loader(const LoadPlan& plan)
      : plan_(plan), schedule_(plan.arrivals, std::max(plan.rate_per_second, 1e-9), plan.seed) {}

  Result<LoadOutcome> Run();

 private:
  [[nodiscard]] bool open_loop() const { return plan_.rate_per_second > 0; }
  [[nodiscard]] nanoseconds Now() const { return Clock::now() - start_; }
  Result<> Arrive();
  Result<> Place(nanoseconds due);
  Result<> Open(nanoseconds due);
  Result<> Watch(Stream& stream, uint32_t events, int what);
  void Begin(Stream& stream, nanoseconds due);
  void Write(Stream& stream);
  void Read(Stream& stream);
  void Answered(Stream& stream);
  void OnEvent(Stream& stream, uint32_t events);
  void End(Stream& stream, Fate fate);
  void Close(Stream& stream);
  void GiveUpLate();
  Result<> Poll();
  [[nodiscard]] int PauseMs() const;

  const LoadPlan& plan_;
  Schedule schedule_;
  Clock::time_point start_;
  UniqueFd epoll_;
  std::optional<nanoseconds> next_;  // Arrival; nothing: none comes any more.
  std::deque<nanoseconds> waiting_;  // Due times of requests that wait for a connection.
  std::vector<Stream*> idle_;        // The one used last is used next.
  std::list<Stream*> in_flight_;     // The oldest first.
  std::vector<std::unique_ptr<Stream>> streams_;
  std::vector<std::unique_ptr<Stream>> closed_;  // Events of this round may still point to them.
  LoadOutcome outcome_;
};

Result<LoadOutcome> Loader::Run() {
  epoll_ = UniqueFd(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll_) return FailErrno("epoll_create1");
  start_ = Clock::now();
  if (open_loop()) {
    next_ = schedule_.Next();
  } else {
    waiting_.assign(plan_.connections, nanoseconds(0));
  }
  for (;;) {
    TRY(Arrive());
    GiveUpLate();
    if (!next_ && waiting_.empty() && in_flight_.empty()) return std::move(outcome_);
    TRY(Poll());
    closed_.clear();
  }
}

// Sends what is due and what waits, as far as there are connections for it.
Result<> Loader::Arrive() {
  const nanoseconds now = Now();
  while (next_ && *next_ <= now && *next_ <= plan_.run) {
    waiting_.push_back(*next_);
    next_ = schedule_.Next();
  }
  if (next_ && *next_ > plan_.run) next_.reset();
  while (!waiting_.empty() && (!idle_.empty() || streams_.size() < plan_.connections)) {
    const nanoseconds due = waiting_.front();
    waiting_.pop_front();
    TRY(Place(due));
  }
  return {};
}

Result<> Loader::Place(nanoseconds due) {
  if (idle_.empty()) return Open(due);
  Stream& stream = *idle_.back();
  idle_.pop_back();
  Begin(stream, due);
  Write(stream);
  return {};
}

Result<> Loader::Open(nanoseconds due) {
  auto opened = StartConnecting(plan_.target);
  if (!opened && opened.error().code != Code::kUnavailable) {
    return tl::unexpected(std::move(opened.error()));
  }
  if (!opened) {
    outcome_.tally.Add(Fate::kRefused, due, Now());
    return {};
  }
  ++outcome_.connections_made;
  Stream& stream = *streams_.emplace_back(std::make_unique<Stream>());
  stream.fd = std::move(*opened);
  stream.connecting = true;
  Begin(stream, due);
  return Watch(stream, EPOLLIN | EPOLLOUT, EPOLL_CTL_ADD);
}

Result<> Loader::Watch(Stream& stream, uint32_t events, int what) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &stream;
  if (::epoll_ctl(epoll_.get(), what, stream.fd.get(), &event) != 0) return FailErrno("epoll_ctl");
  return {};
}

void Loader::Begin(Stream& stream, nanoseconds due) {
  stream.busy = true;
  stream.due = due;
  stream.sent_bytes = 0;
  stream.answer.Reset();
  stream.in_flight = in_flight_.insert(in_flight_.end(), &stream);
}

void Loader::Write(Stream& stream) {
  if (stream.sent_bytes == 0) {
    outcome_.sent_late_ms.push_back(
        std::chrono::duration<double, std::milli>(Now() - stream.due).count());
  }
  while (stream.sent_bytes < plan_.request.size()) {
    const std::string_view rest = std::string_view(plan_.request).substr(stream.sent_bytes);
    const ssize_t sent = ::send(stream.fd.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
    if (sent >= 0) {
      stream.sent_bytes += static_cast<size_t>(sent);
    } else if (errno == EAGAIN) {
      if (!Watch(stream, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD)) End(stream, Fate::kBroken);
      return;
    } else if (errno != EINTR) {
      return End(stream, Fate::kBroken);
    }
  }
}

void Loader::Read(Stream& stream) {
  char bytes[16384];
  for (;;) {
    const ssize_t got = ::recv(stream.fd.get(), bytes, sizeof bytes, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return;
    if (!stream.busy) return Close(stream);  // The server ended it, or spoke unasked.
    if (got <= 0 || !stream.answer.Take({bytes, static_cast<size_t>(got)})) {
      return End(stream, Fate::kBroken);
    }
    if (stream.answer.whole()) return Answered(stream);
  }
}

void Loader::Answered(Stream& stream) {
  const AnswerReader& answer = stream.answer;
  End(stream, FateOf(answer.status(), answer.has_retry_after(), answer.body() == plan_.expected));
}

void Loader::OnEvent(Stream& stream, uint32_t events) {
  if (!stream.fd) return;
  if (stream.connecting && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0) {
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(stream.fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return End(stream, Fate::kRefused);
    stream.connecting = false;
  }
  if ((events & EPOLLOUT) != 0 && stream.busy && stream.sent_bytes < plan_.request.size()) {
    if (!Watch(stream, EPOLLIN, EPOLL_CTL_MOD)) return End(stream, Fate::kBroken);
    Write(stream);
  }
  if (stream.fd && (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0) Read(stream);
}

// The request of `stream` has its fate. The connection is kept when an answer came that leaves it.
void Loader::End(Stream& stream, Fate fate) {
  const nanoseconds now = Now();
  outcome_.tally.Add(fate, stream.due, now);
  in_flight_.erase(stream.in_flight);
  stream.busy = false;
  if (stream.answer.whole() && !stream.answer.closes()) {
    idle_.push_back(&stream);
  } else {
    Close(stream);
  }
  if (!open_loop() && now < plan_.run) waiting_.push_back(now);
}

void Loader::Close(Stream& stream) {
  std::erase(idle_, &stream);
  stream.fd.Reset();
  const auto own = std::find_if(streams_.begin(), streams_.end(),
                                [&stream](const auto& one) { return one.get() == &stream; });
  closed_.push_back(std::move(*own));
  streams_.erase(own);
}

void Loader::GiveUpLate() {
  const nanoseconds now = Now();
  while (!in_flight_.empty() && now - in_flight_.front()->due > plan_.timeout) {
    End(*in_flight_.front(), Fate::kUnanswered);
  }
  while (!waiting_.empty() && now - waiting_.front() > plan_.timeout) {
    outcome_.tally.Add(Fate::kUnanswered, waiting_.front(), now);
    waiting_.pop_front();
  }
}

// Until the next arrival, rounded up: a request may go a millisecond late, which its latency
// counts.
int Loader::PauseMs() const {
  using std::chrono::milliseconds;
  if (!waiting_.empty() && (!idle_.empty() || streams_.size() < plan_.connections)) return 0;
  milliseconds pause{100};
  if (next_) {
    const auto until = std::chrono::ceil<milliseconds>(*next_ - Now());
    pause = std::clamp(until, milliseconds(0), pause);
  }
  return static_cast<int>(pause.count());
}

Result<> Loader::Poll() {
  epoll_event events[256];
  const int count = ::epoll_wait(epoll_.get(), events, std::size(events), PauseMs());
  if (count < 0 && errno != EINTR) return FailErrno("epoll_wait");
  for (int i = 0; i < count; ++i) {
    OnEvent(*static_cast<Stream*>(events[i].data.ptr), events[i].events);
  }
  return {};
}

}  // namespace

Result<LoadOutcome> RunLoad(const LoadPlan& plan) {
  if (plan.rate_per_second < 0 || plan.connections == 0 || plan.run.count() <= 0) {
    return Fail(Code::kInvalidArgument,
                "a load needs a rate of at least 0, a connection and a time above 0");
  }
  return Loader(plan).Run();
}

}  // namespace hybridserve::bench
