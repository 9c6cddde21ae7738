// Tests of the load: when requests are due, and that each is accounted for once.
#include "client/load.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <functional>
#include <list>
#include <thread>

#include "client/answer_reader.h"
#include "client/http_connection.h"
#include "client/schedule.h"
#include "client/tally.h"

namespace hybridserve::bench {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;
using testing::ElementsAre;

TEST(Schedule, UniformArrivalsDoNotDrift) {
  Schedule schedule(Arrivals::kUniform, 3, 1);
  nanoseconds at{};
  for (int i = 0; i < 3000000; ++i) at = schedule.Next();
  EXPECT_EQ(nanoseconds(seconds(1000000)), at);
}

TEST(Schedule, PoissonArrivalsComeAtTheirRateAndBunch) {
  Schedule schedule(Arrivals::kPoisson, 1000, 1);
  nanoseconds before{};
  int short_gaps = 0;
  constexpr int kCount = 100000;
  for (int i = 0; i < kCount; ++i) {
    const nanoseconds at = schedule.Next();
    ASSERT_GE(at, before);
    if (at - before < milliseconds(1)) ++short_gaps;
    before = at;
  }
  EXPECT_NEAR(100, std::chrono::duration<double>(before).count(), 1);
  // 1 - 1/e of the gaps are shorter than the mean.
  EXPECT_NEAR(0.632, static_cast<double>(short_gaps) / kCount, 0.01);
}

TEST(Schedule, ASeedGivesItsOwnArrivalsAgain) {
  Schedule one(Arrivals::kPoisson, 10, 7);
  Schedule same(Arrivals::kPoisson, 10, 7);
  Schedule other(Arrivals::kPoisson, 10, 8);
  const nanoseconds first = one.Next();
  EXPECT_EQ(first, same.Next());
  EXPECT_NE(first, other.Next());
}

TEST(Tally, AnAnswersFateFollowsItsStatusRetryAfterAndBody) {
  EXPECT_EQ(Fate::kOk, FateOf(200, false, true));
  EXPECT_EQ(Fate::kWrongBody, FateOf(200, false, false));
  EXPECT_EQ(Fate::kRejected, FateOf(429, true, false));
  EXPECT_EQ(Fate::kRejected, FateOf(503, true, false));
  EXPECT_EQ(Fate::kNoRetryAfter, FateOf(503, false, false));
  EXPECT_EQ(Fate::kOtherStatus, FateOf(504, true, true));
}

TEST(Tally, CountsByFateAndFromWhenARequestWasDue) {
  Tally tally;
  tally.Add(Fate::kOk, milliseconds(900), milliseconds(1100));
  tally.Add(Fate::kOk, milliseconds(1000), milliseconds(2500));
  tally.Add(Fate::kRejected, milliseconds(5), milliseconds(6));
  EXPECT_EQ(3u, tally.total());
  EXPECT_THAT(tally.latencies_ms(Fate::kOk), ElementsAre(200, 1500));
  EXPECT_THAT(tally.latencies_ms(Fate::kRejected), ElementsAre(1));
  EXPECT_THAT(tally.ok_by_second(), ElementsAre(0, 1, 1));
  EXPECT_EQ(1u, tally.ok_within(seconds(2)));
}

TEST(AnswerReader, TakesAnAnswerByteByByte) {
  AnswerReader reader;
  const std::string answer =
      "HTTP/1.1 429 Busy\r\nretry-after: 1\r\nContent-Length: 3\r\nConnection: Close\r\n\r\nno\n";
  for (const char& byte : answer) {
    EXPECT_FALSE(reader.whole());
    ASSERT_TRUE(reader.Take({&byte, 1}));
  }
  EXPECT_TRUE(reader.whole());
  EXPECT_EQ(429, reader.status());
  EXPECT_TRUE(reader.has_retry_after());
  EXPECT_TRUE(reader.closes());
  EXPECT_EQ("no\n", reader.body());
  reader.Reset();
  ASSERT_TRUE(reader.Take("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
  EXPECT_TRUE(reader.whole());
  EXPECT_FALSE(reader.has_retry_after());
  EXPECT_FALSE(reader.closes());
}

TEST(AnswerReader, RefusesWhatIsNoAnswer) {
  for (const char* bad : {"SSH-2.0\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n",
                          "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
                          "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab"}) {
    AnswerReader reader;
    EXPECT_FALSE(reader.Take(bad)) << bad;
  }
}

// A server on loopback; `answer` says what the nth request gets. Empty: the connection is closed.
class ManyServer {
 public:
  using Answers = std::function<std::string(int nth)>;

  explicit ManyServer(Answers answer) : answer_(std::move(answer)) {
    listener_ = UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* const bytes = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(0, ::bind(listener_.get(), bytes, sizeof address));
    EXPECT_EQ(0, ::listen(listener_.get(), 128));
    socklen_t size = sizeof address;
    EXPECT_EQ(0, ::getsockname(listener_.get(), bytes, &size));
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { Serve(); });
  }
  ~ManyServer() {
    done_ = true;
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
  }

  [[nodiscard]] LoadPlan Plan() const {
    LoadPlan plan;
    plan.target = *ParseTarget("127.0.0.1:" + std::to_string(port_));
    plan.request = MakeRequest("GET", "/", "bench", "");
    plan.expected = "hello";
    plan.run = milliseconds(200);
    return plan;
  }
  [[nodiscard]] int requests() const { return requests_; }

 private:
  void Serve() {
    std::list<UniqueFd> streams;
    while (!done_) {
      std::vector<pollfd> polled{{listener_.get(), POLLIN, 0}};
      for (const UniqueFd& stream : streams) polled.push_back({stream.get(), POLLIN, 0});
      ::poll(polled.data(), polled.size(), -1);
      size_t i = 1;
      for (auto at = streams.begin(); at != streams.end(); ++i) {
        const bool gone = polled[i].revents != 0 && !Answer(*at);
        at = gone ? streams.erase(at) : std::next(at);
      }
      if (polled[0].revents == 0 || done_) continue;
      streams.emplace_back(::accept(listener_.get(), nullptr, nullptr));
    }
  }
  // False when the connection has ended.
  bool Answer(const UniqueFd& stream) {
    char request[4096];
    if (::recv(stream.get(), request, sizeof request, 0) <= 0) return false;
    const std::string answer = answer_(requests_++);
    if (answer.empty()) return false;
    return ::send(stream.get(), answer.data(), answer.size(), MSG_NOSIGNAL) > 0;
  }

  Answers answer_;
  UniqueFd listener_;
  uint16_t port_ = 0;
  std::atomic<bool> done_ = false;
  std::atomic<int> requests_ = 0;
  std::thread thread_;
};

constexpr char kOkAnswer[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

TEST(Load, OpenLoopSendsTheWholeScheduleAndAccountsForEachRequest) {
  ManyServer server([](int nth) -> std::string {
    if (nth % 4 == 1) return "HTTP/1.1 429 Busy\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n";
    if (nth % 4 == 2) return "HTTP/1.1 504 Late\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    if (nth % 4 == 3) return "";
    return kOkAnswer;
  });
  LoadPlan plan = server.Plan();
  plan.rate_per_second = 1000;
  plan.arrivals = Arrivals::kUniform;
  const Result<LoadOutcome> outcome = RunLoad(plan);
  ASSERT_TRUE(outcome) << outcome.error().message;
  const Tally& tally = outcome->tally;
  EXPECT_EQ(200u, tally.total());
  EXPECT_EQ(200, server.requests());
  EXPECT_EQ(50u, tally.count(Fate::kOk));
  EXPECT_EQ(50u, tally.count(Fate::kRejected));
  EXPECT_EQ(50u, tally.count(Fate::kOtherStatus));
  EXPECT_EQ(50u, tally.count(Fate::kBroken));
  EXPECT_EQ(200u, outcome->sent_late_ms.size());
}

TEST(Load, ARequestWithoutAFreeConnectionWaitsAndItsTimeRuns) {
  // The first answer is not whole: its connection, the only one, stays busy.
  ManyServer server([](int) { return "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"; });
  LoadPlan plan = server.Plan();
  plan.rate_per_second = 100;
  plan.arrivals = Arrivals::kUniform;
  plan.connections = 1;
  plan.run = milliseconds(50);
  plan.timeout = milliseconds(300);
  const Result<LoadOutcome> outcome = RunLoad(plan);
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(5u, outcome->tally.count(Fate::kUnanswered));
  for (const double waited : outcome->tally.latencies_ms(Fate::kUnanswered)) EXPECT_GE(waited, 300);
}

TEST(Load, NothingIsSentThatIsDueAfterTheRunHoweverLateTheClientIs) {
  ManyServer server([](int) { return kOkAnswer; });
  LoadPlan plan = server.Plan();
  plan.rate_per_second = 1000000;  // More than a client keeps up with.
  plan.arrivals = Arrivals::kUniform;
  plan.run = milliseconds(1);
  const Result<LoadOutcome> outcome = RunLoad(plan);
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(1000u, outcome->tally.total());
}

TEST(Load, ClosedLoopKeepsEachConnectionBusy) {
  ManyServer server([](int) { return kOkAnswer; });
  LoadPlan plan = server.Plan();
  plan.connections = 3;
  plan.run = seconds(1);
  const Result<LoadOutcome> outcome = RunLoad(plan);
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(3u, outcome->connections_made);
  EXPECT_GT(outcome->tally.count(Fate::kOk), 3u);
  EXPECT_EQ(outcome->tally.total(), outcome->tally.count(Fate::kOk));
  EXPECT_EQ(static_cast<int>(outcome->tally.total()), server.requests());
}

TEST(Load, NobodyListeningIsAFateAndNoError) {
  LoadPlan plan;
  {
    const ManyServer server([](int) { return kOkAnswer; });
    plan = server.Plan();
  }
  plan.rate_per_second = 100;
  plan.arrivals = Arrivals::kUniform;
  const Result<LoadOutcome> outcome = RunLoad(plan);
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(20u, outcome->tally.count(Fate::kRefused));
  EXPECT_EQ(20u, outcome->tally.total());
}

TEST(Load, APlanThatSendsNothingIsRefused) {
  LoadPlan plan;
  plan.connections = 0;
  EXPECT_FALSE(RunLoad(plan));
}

}  // namespace
}  // namespace hybridserve::bench
