// The one socket of a guest: reading, writing, polling, and that whoever waits for it can be ended.
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <thread>

#include "executors/common/wasi_fixture.h"

namespace hybridserve::wasi {
namespace {

// A guest with one socket and its other end. Number 3, behind the grants (none), is the private
// folder's, closed where there is none, so that the socket's does not depend on it.
class WasiSocketTest : public WasiTest {
 protected:
  static constexpr uint32_t kSocket = 4;
  WasiSocketTest() {
    Begin();
    int ends[2] = {-1, -1};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    wasi_.AddSocket(UniqueFd(ends[0]));
    peer_ = UniqueFd(ends[1]);
  }
  void Send(std::string_view text) {
    ASSERT_EQ(::send(peer_.get(), text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
  }
  std::string Received() {
    char bytes[100];
    const ssize_t size = ::recv(peer_.get(), bytes, sizeof bytes, 0);
    return size < 0 ? "nothing" : std::string(bytes, static_cast<size_t>(size));
  }
  // A subscription at `at`.
  void Subscribe(uint32_t at, uint8_t type, uint32_t clock_or_fd, uint64_t timeout = 0) {
    const Subscription sub{
        .userdata = at, .type = type, .clock_or_fd = clock_or_fd, .timeout = timeout};
    memory_.Write(at, sub);
  }
  UniqueFd peer_;
};

TEST_F(WasiSocketTest, IsAStreamSocketThatReadsAndWrites) {
  ASSERT_EQ(Call("fd_fdstat_get", {kSocket, 100}), kOk);
  EXPECT_EQ(Get<FileType>(100), FileType::kSocketStream);
  Send("hello");
  EXPECT_EQ(Read(kSocket, 3), "hel");
  EXPECT_EQ(Read(kSocket, 100), "lo");
  EXPECT_EQ(Write(kSocket, "to you"), kOk);
  EXPECT_EQ(Received(), "to you");
  peer_.Reset();
  EXPECT_EQ(Read(kSocket, 100), "");
  EXPECT_EQ(Write(kSocket, "x"), Of(Errno::kPipe));
}

TEST_F(WasiSocketTest, ItsNumberIsAVariable) {
  ASSERT_EQ(Call("environ_sizes_get", {100, 104}), kOk);
  EXPECT_EQ(Get<uint32_t>(100), 1u);
  ASSERT_EQ(Call("environ_get", {200, 300}), kOk);
  EXPECT_EQ(Text(300, Get<uint32_t>(104)), std::string("HYBRIDSERVE_PROXY_FD=4\0", 23));
}

TEST_F(WasiSocketTest, SockCallsPeekSendAndShutDown) {
  Send("hello");
  Buffer(1000, 3);
  ASSERT_EQ(Call("sock_recv", {kSocket, 0, 1, kRecvPeek, 8, 12}), kOk);
  ASSERT_EQ(Call("sock_recv", {kSocket, 0, 1, 0, 8, 12}), kOk);
  EXPECT_EQ(Text(1000, Get<uint32_t>(8)), "hel");
  EXPECT_EQ(Call("sock_recv", {kSocket, 0, 1, kRecvWaitall, 8, 12}), Of(Errno::kNotsup));
  ASSERT_EQ(Call("sock_send", {kSocket, 0, 1, 0, 8}), kOk);
  EXPECT_EQ(Received(), "hel");
  EXPECT_EQ(Call("sock_shutdown", {kSocket, 4}), Of(Errno::kInval));
  ASSERT_EQ(Call("sock_shutdown", {kSocket, kShutWrite}), kOk);
  EXPECT_EQ(Received(), "");
  EXPECT_EQ(Call("sock_send", {1, 0, 1, 0, 8}), Of(Errno::kNotsock));
  EXPECT_EQ(Call("sock_recv", {9, 0, 1, 0, 8, 12}), Of(Errno::kBadf));
}

TEST_F(WasiSocketTest, IsNoFileAndNoFolder) {
  EXPECT_EQ(Call("fd_seek", {kSocket, 0, 0, 8}), Of(Errno::kSpipe));
  Buffer(1000, 3);
  EXPECT_EQ(Call("fd_pread", {kSocket, 0, 1, 0, 8}), Of(Errno::kSpipe));
  EXPECT_NE(Call("fd_sync", {kSocket}), kOk);
  EXPECT_NE(Call("fd_readdir", {kSocket, 1000, 100, 0, 8}), kOk);
  EXPECT_EQ(Call("fd_prestat_get", {kSocket, 100}), Of(Errno::kBadf));
  EXPECT_EQ(Call("fd_filestat_set_times", {kSocket, 0, 0, 0}), Of(Errno::kBadf));
}

TEST_F(WasiSocketTest, ClosesWhenTheGuestClosesItAndWhenTheInvocationEnds) {
  ASSERT_EQ(Call("fd_close", {kSocket}), kOk);
  EXPECT_EQ(Received(), "");
  EXPECT_EQ(Read(kSocket, 1), "error " + std::to_string(Of(Errno::kBadf)));
  int ends[2] = {-1, -1};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  peer_ = UniqueFd(ends[1]);
  wasi_.AddSocket(UniqueFd(ends[0]));
  wasi_.End();
  EXPECT_EQ(Received(), "");
}

TEST_F(WasiSocketTest, NonblockingCallsDoNotWait) {
  ASSERT_EQ(Call("fd_fdstat_set_flags", {kSocket, kFdNonblock}), kOk);
  EXPECT_EQ(Read(kSocket, 1), "error " + std::to_string(Of(Errno::kAgain)));
}

TEST_F(WasiSocketTest, AReadThatWaitsEndsAtTheDeadline) {
  guard_.End();
  guard_.Begin(2, SteadyClock::now() + std::chrono::milliseconds(20));
  EXPECT_EQ(Read(kSocket, 1), "error " + std::to_string(kStop));
  EXPECT_EQ(wasi_.stop_reason(), StopReason::kDeadline);
}

TEST_F(WasiSocketTest, AReadThatWaitsEndsWhenItIsCancelled) {
  std::thread canceller([this] { watchdog_.Cancel(1); });
  EXPECT_EQ(Read(kSocket, 1), "error " + std::to_string(kStop));
  EXPECT_EQ(wasi_.stop_reason(), StopReason::kCancelled);
  canceller.join();
}

TEST_F(WasiSocketTest, AWriteThatWaitsGoesOnWhenTheOtherSideReads) {
  std::thread reader([this] {
    size_t total = 0;
    char bytes[65536];
    pollfd readable{peer_.get(), POLLIN, 0};
    while (total < 100 * 20000u && ::poll(&readable, 1, 10000) == 1) {
      const ssize_t size = ::recv(peer_.get(), bytes, sizeof bytes, 0);
      if (size > 0) total += static_cast<size_t>(size);
    }
    EXPECT_EQ(total, 100 * 20000u);
  });
  size_t total = 0;
  while (total < 100 * 20000u) {
    const auto piece = std::min<size_t>(20000, 100 * 20000u - total);
    ASSERT_EQ(Write(kSocket, std::string(piece, 'x')), kOk);
    total += Get<uint32_t>(8);
  }
  reader.join();
}

TEST_F(WasiSocketTest, PollWaitsForTheSocketOrTheClockWhicheverComesFirst) {
  Subscribe(5000, kEventFdRead, kSocket);
  Subscribe(5048, kEventClock, kClockMonotonic, 1'000'000);
  ASSERT_EQ(Call("poll_oneoff", {5000, 6000, 2, 8}), kOk);
  ASSERT_EQ(Get<uint32_t>(8), 1u);
  EXPECT_EQ(Get<Event>(6000).userdata, 5048u);
  Send("x");
  Subscribe(5048, kEventClock, kClockMonotonic, 3600'000'000'000);
  ASSERT_EQ(Call("poll_oneoff", {5000, 6000, 2, 8}), kOk);
  ASSERT_EQ(Get<uint32_t>(8), 1u);
  EXPECT_EQ(Get<Event>(6000).userdata, 5000u);
  EXPECT_EQ(Get<Event>(6000).type, kEventFdRead);
}

TEST_F(WasiSocketTest, PollOfASocketBesideWhatIsAlwaysReadyDoesNotWait) {
  Subscribe(5000, kEventFdRead, kSocket);
  Subscribe(5048, kEventFdRead, 0);
  ASSERT_EQ(Call("poll_oneoff", {5000, 6000, 2, 8}), kOk);
  ASSERT_EQ(Get<uint32_t>(8), 1u);
  EXPECT_EQ(Get<Event>(6000).userdata, 5048u);
}

TEST_F(WasiSocketTest, PollTellsThatTheOtherSideHasGone) {
  peer_.Reset();
  Subscribe(5000, kEventFdRead, kSocket);
  ASSERT_EQ(Call("poll_oneoff", {5000, 6000, 1, 8}), kOk);
  EXPECT_EQ(Get<Event>(6000).flags, kEventHangup);
}

}  // namespace
}  // namespace hybridserve::wasi
