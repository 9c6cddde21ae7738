#include "gateway/connections.h"

#include <cstring>
#include <utility>

#include "base/digest.h"
#include "gateway/response_head.h"

namespace hybridserve {
namespace {

// How many connections whose time is up are ended before others have their turn, and for how long.
constexpr size_t kOverdueAtOnce = 64;
constexpr std::chrono::milliseconds kOverduePause{2};

uint64_t RandomSeed() {
  const std::string bytes = RandomBytes(sizeof(uint64_t));
  uint64_t seed = 0;
  std::memcpy(&seed, bytes.data(), sizeof(seed));
  return seed;
}

// Sebastiano Vigna's splitmix64: a bijection, so different counts give different ids.
uint64_t Mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

}  // namespace

Connections::Connections(boost::asio::any_io_executor executor, Now now,
                         std::chrono::milliseconds tick)
    : now_(std::move(now)),
      request_id_seed_(RandomSeed()),
      tick_(tick),
      clock_(executor),
      ticker_(clock_, [this] { return Tick(); }) {
  RefreshClock();
}

Gate::Pass Connections::Enter() {
  if (count() == 0) {
    RefreshClock();
    ticker_.Start(tick_);
  }
  return gate_.Enter();
}

void Connections::SetIdle(Watched& connection) {
  connection.unlink();
  idle_.push_back(connection);
}

void Connections::SetActive(Watched& connection) {
  connection.unlink();
  active_.push_back(connection);
}

bool Connections::CloseLongestIdle() {
  if (idle_.empty()) return false;
  Watched& longest = idle_.front();
  SetActive(longest);  // It is on its way out: the next call finds another.
  longest.CloseIdle();
  return true;
}

void Connections::Drain(std::function<void()> when_empty) {
  AnnounceDrain();
  gate_.Close(std::move(when_empty));
  // A request that has arrived is in flight, read or not: it is answered, and then comes the end.
  for (Watched& connection : idle_) {
    if (!connection.HasUnread()) connection.CloseIdle();
  }
}

void Connections::AbandonAll() {
  for (auto at = active_.begin(); at != active_.end();) {
    Watched& connection = *at++;
    connection.Abandon();
  }
}

void Connections::NewRequestId(std::string& out) {
  static constexpr char kDigits[] = "0123456789abcdef";
  uint64_t bits = Mix(request_id_seed_ + requests_++);
  out.resize(16);
  for (char& digit : out) {
    digit = kDigits[bits & 15];
    bits >>= 4;
  }
}

Ticker::Pause Connections::Tick() {
  RefreshClock();
  if (!EndOverdue()) return kOverduePause;
  FindGoneClients();
  return count() > 0 ? Ticker::Pause(tick_) : std::nullopt;
}

void Connections::RefreshClock() {
  coarse_now_ = now_();
  const auto second = std::chrono::duration_cast<std::chrono::seconds>(
                          std::chrono::system_clock::now().time_since_epoch())
                          .count();
  if (second == date_second_) return;
  date_second_ = second;
  date_ = HttpDate(second);
}

bool Connections::EndOverdue() {
  size_t ended = 0;
  // Idle ones have one timeout, so the first in the list is the first that is due.
  for (Watched& connection : idle_) {
    if (connection.deadline() > coarse_now_) break;
    if (ended++ == kOverdueAtOnce) return false;
    connection.OnDeadline(coarse_now_);
  }
  for (Watched& connection : active_) {
    if (connection.deadline() > coarse_now_) continue;
    if (ended++ == kOverdueAtOnce) return false;
    connection.OnDeadline(coarse_now_);
  }
  return true;
}

void Connections::FindGoneClients() {
  sockets_.clear();
  watched_.clear();
  for (Watched& connection : active_) {
    const int socket = connection.watched_socket();
    if (socket < 0) continue;
    sockets_.push_back({.fd = socket, .events = POLLRDHUP, .revents = 0});
    watched_.push_back(&connection);
  }
  if (sockets_.empty() || ::poll(sockets_.data(), sockets_.size(), 0) <= 0) return;
  for (size_t i = 0; i < sockets_.size(); ++i) {
    if ((sockets_[i].revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0) watched_[i]->Abandon();
  }
}

}  // namespace hybridserve
