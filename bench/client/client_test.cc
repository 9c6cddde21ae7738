// Tests of the benchmark's client: what it measures is only worth as much as what it checks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <thread>

#include "base/file.h"
#include "client/condition.h"
#include "client/http_connection.h"
#include "client/page_cache.h"
#include "client/sampler.h"
#include "client/statistics.h"
#include "client/target.h"

namespace hybridserve::bench {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

// A server on a unix socket that gives one connection its answers, one a request, then hangs up.
class Server {
 public:
  explicit Server(std::vector<std::string> answers)
      : path_(folder_.path() / "socket"), answers_(std::move(answers)) {
    listener_ = UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.string().copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(0, ::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address));
    EXPECT_EQ(0, ::listen(listener_.get(), 8));
    thread_ = std::thread([this] { Serve(); });
  }
  ~Server() {
    // Lets the thread out of accept when nobody connected.
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
  }
  [[nodiscard]] Target target() const { return *ParseTarget("unix:" + path_.string()); }

 private:
  void Serve() const {
    const UniqueFd stream(::accept(listener_.get(), nullptr, nullptr));
    for (const std::string& answer : answers_) {
      char request[4096];
      if (::recv(stream.get(), request, sizeof request, 0) <= 0) return;
      // Byte by byte for the head's sake: nothing may depend on how the bytes arrive.
      for (const char& byte : answer) ::send(stream.get(), &byte, 1, MSG_NOSIGNAL);
    }
  }

  TemporaryFolder folder_;
  std::filesystem::path path_;
  std::vector<std::string> answers_;
  UniqueFd listener_;
  std::thread thread_;
};

std::string Ok(const std::string& body, const std::string& headers = "") {
  return "HTTP/1.1 200 OK\r\n" + headers + "Content-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}

Plan PlanFor(const Server& server, uint32_t samples) {
  Plan plan;
  plan.measured.target = server.target();
  plan.measured.requests = {MakeRequest("GET", "/", "bench", "")};
  plan.measured.expected = "hello";
  plan.samples = samples;
  return plan;
}

std::string ErrorOf(const Plan& plan) {
  const Result<Outcome> outcome = TakeSamples(plan);
  return outcome ? "" : outcome.error().message;
}

TEST(Statistics, PercentilesAreSamplesByNearestRank) {
  std::vector<double> samples;
  for (int i = 100; i >= 1; --i) samples.push_back(i);
  const Spread spread = SpreadOf(samples);
  EXPECT_EQ(100u, spread.count);
  EXPECT_EQ(1, spread.min);
  EXPECT_EQ(10, spread.p10);
  EXPECT_EQ(50, spread.p50);
  EXPECT_EQ(90, spread.p90);
  EXPECT_EQ(99, spread.p99);
  EXPECT_EQ(100, spread.max);
  EXPECT_DOUBLE_EQ(50.5, spread.mean);
}

TEST(Statistics, OneSampleIsEveryPercentile) {
  const Spread spread = SpreadOf({7});
  EXPECT_EQ(7, spread.p10);
  EXPECT_EQ(7, spread.p99);
}

TEST(Target, TakesAddressesInNumbersAndUnixPaths) {
  EXPECT_EQ(8080, ParseTarget("127.0.0.1:8080")->port);
  EXPECT_EQ("/a/b", ParseTarget("unix:/a/b")->unix_path);
  for (const char* bad :
       {"", "localhost:80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "1.2.3.4:x"}) {
    EXPECT_FALSE(ParseTarget(bad)) << bad;
  }
}

TEST(Sampler, CountsSamplesAndNotWarmUpsOverOneConnection) {
  Server server({Ok("hello"), Ok("hello"), Ok("hello", "Server-Timing: run;dur=0.5\r\n")});
  Plan plan = PlanFor(server, 2);
  plan.warm_ups = 1;
  const Result<Outcome> outcome = TakeSamples(plan);
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(2u, outcome->measured.first_byte.size());
  EXPECT_THAT(outcome->measured.server_timing, ElementsAre(Pair("run", ElementsAre(0.5))));
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_GT(outcome->measured.first_byte[i], 0);
    EXPECT_GE(outcome->measured.last_byte[i], outcome->measured.first_byte[i]);
  }
}

TEST(Sampler, OneWrongBodyAmongManyFailsTheMeasurement) {
  Server server({Ok("hello"), Ok("hellO"), Ok("hello")});
  EXPECT_THAT(ErrorOf(PlanFor(server, 3)), HasSubstr("wrong body"));
}

TEST(Sampler, AnotherStatusFailsTheMeasurement) {
  Server server({"HTTP/1.1 503 Busy\r\nContent-Length: 5\r\n\r\nhello"});
  EXPECT_THAT(ErrorOf(PlanFor(server, 1)), HasSubstr("answered 503"));
}

TEST(Sampler, AMissingHeaderFailsASampleButNotAWarmUp) {
  Server server({Ok("hello"), Ok("hello", "X-Start: cold\r\n"), Ok("hello", "X-Start: warm\r\n")});
  Plan plan = PlanFor(server, 2);
  plan.warm_ups = 1;
  plan.measured.expected_headers = {{"x-start", "cold"}};
  EXPECT_THAT(ErrorOf(plan), HasSubstr("is 'warm', expected 'cold'"));
}

TEST(Sampler, AConnectionThatEndsEarlyFailsTheMeasurement) {
  Server server({Ok("hello")});
  EXPECT_THAT(ErrorOf(PlanFor(server, 2)), HasSubstr("connection ended"));
}

TEST(Sampler, ReadsChunkedAnswers) {
  Server server(
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n",
       Ok("hello")});
  // A chunk extension is more than the node ever sends: it is refused rather than misread.
  EXPECT_THAT(ErrorOf(PlanFor(server, 2)), HasSubstr("bad length"));
  Server plain(
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
       Ok("hello")});
  EXPECT_EQ("", ErrorOf(PlanFor(plain, 2)));
}

TEST(Sampler, TakesPairsFromBothSides) {
  Server ours({Ok("hello"), Ok("hello"), Ok("hello")});
  Server theirs({Ok("hi"), Ok("hi"), Ok("hi")});
  Plan plan = PlanFor(ours, 3);
  plan.against = PlanFor(theirs, 3).measured;
  plan.against->expected = "hi";
  const Result<Outcome> outcome = TakeSamples(plan);
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(3u, outcome->against.last_byte.size());
}

TEST(Sampler, WaitsUntilTheConditionHolds) {
  Server admin({Ok(R"({"loaded":true})"), Ok(R"({"loaded":true})"), Ok(R"({"loaded":false})")});
  Server server({Ok("hello")});
  Plan plan = PlanFor(server, 1);
  plan.admin = admin.target();
  plan.conditions = {*ParseCondition("/state#/loaded=false")};
  EXPECT_EQ("", ErrorOf(plan));
}

TEST(Condition, ComparesWhatThePointerLeadsTo) {
  const auto document = nlohmann::json::parse(R"({"a":{"loaded":false,"ready":2}})");
  EXPECT_TRUE(ParseCondition("/x#/a/loaded=false")->HoldsIn(document));
  EXPECT_FALSE(ParseCondition("/x#/a/loaded=true")->HoldsIn(document));
  EXPECT_TRUE(ParseCondition("/x#/a/ready>=2")->HoldsIn(document));
  EXPECT_FALSE(ParseCondition("/x#/a/ready>=3")->HoldsIn(document));
  EXPECT_FALSE(ParseCondition("/x#/a/nothing=false")->HoldsIn(document));
  for (const char* bad : {"", "/x", "/x#/a", "/x#a=1", "/x#/a=no json"}) {
    EXPECT_FALSE(ParseCondition(bad)) << bad;
  }
}

TEST(ServerTiming, GivesWordsAndDurations) {
  EXPECT_THAT(ParseServerTiming("queue;dur=0.004, start;dur=1.5,cache"),
              ElementsAre(Pair("queue", 0.004), Pair("start", 1.5)));
  EXPECT_TRUE(ParseServerTiming("").empty());
}

TEST(PageCache, EvictsAFilesPagesAndKeepsItsContent) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "file";
  const std::string content(100000, 'x');
  ASSERT_TRUE(WriteFileAtomically(path, content));
  const Result<size_t> stayed = EvictFromPageCache(folder.path());
  ASSERT_TRUE(stayed) << stayed.error().message;
  EXPECT_EQ(content, *ReadFile(path));
  EXPECT_FALSE(EvictFromPageCache(folder.path() / "missing"));
}

}  // namespace
}  // namespace hybridserve::bench
