// Limits on size, time and number; clients that leave; draining.
#include <gmock/gmock.h>

#include <list>

#include "gateway/gateway_fixture.h"

namespace hybridserve {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

const auto kUnchanged = [](Deployed&) {};

template <typename Client>
void Expect408(Client& client, const std::string& why) {
  const auto answer = client.Read();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 408);
  EXPECT_THAT(answer->body, HasSubstr(why));
}

TEST_F(GatewayTest, AHeadOverTheLimitIs431) {
  config_.header_bytes = 1000;
  Restart();
  EXPECT_EQ(Call(Get("/healthz", "X-A: " + std::string(800, 'a') + "\r\n"))->status, 200);
  EXPECT_EQ(Call(Get("/healthz", "X-A: " + std::string(1000, 'a') + "\r\n"))->status, 431);
  // One that never ends is refused at the limit.
  Client client = Connect();
  client.Send("GET / HTTP/1.1\r\nX-A: " + std::string(5000, 'a'));
  EXPECT_EQ(client.Read()->status, 431);
  EXPECT_TRUE(client.IsClosed());
}

TEST_F(GatewayTest, TooManyHeadersAre431) {
  std::string headers;
  for (int i = 0; i < 300; ++i) headers += "a: b\r\n";
  EXPECT_EQ(Call(Get("/healthz", headers))->status, 431);
}

TEST_F(GatewayTest, AHeadThatDoesNotEndInTimeIs408) {
  Client client = Connect();
  client.Send("GET / HT");
  PumpUntil([this] { return metrics_.Serialize().find("connections 1") != std::string::npos; });
  for (int i = 0; i < 5; ++i) loop_.run_one_for(milliseconds(1));
  Advance(config_.header_timeout + milliseconds(1));
  Expect408(client, "header timeout");
  EXPECT_TRUE(client.IsClosed());
}

TEST_F(GatewayTest, BytesThatTrickleInDoNotProlongTheHeaderTimeout) {
  Client client = Connect();
  for (int i = 0; i < 6; ++i) {
    client.Send("G");
    for (int j = 0; j < 5; ++j) loop_.run_one_for(milliseconds(1));
    Advance(config_.header_timeout / 4);
  }
  EXPECT_EQ(client.Read()->status, 408);
}

TEST_F(GatewayTest, AnIdleConnectionIsClosedWithoutAWord) {
  Client client = Connect();
  EXPECT_EQ(client.Exchange(Get("/healthz"))->status, 200);
  Advance(config_.idle_timeout + milliseconds(1));
  EXPECT_TRUE(client.IsClosed());
  EXPECT_FALSE(client.was_reset());
}

TEST_F(GatewayTest, ABodyThatStopsIs408) {
  Deploy(kUnchanged);
  Client client = Connect();
  client.Send("POST /function/hello HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc");
  for (int i = 0; i < 10; ++i) loop_.run_one_for(milliseconds(1));
  Advance(config_.body_timeout + milliseconds(1));
  Expect408(client, "body timeout");
  EXPECT_EQ(wasm_.invocations(), 0u);
}

TEST_F(GatewayTest, ABodyThatTricklesInIs408) {
  Deploy(kUnchanged);
  Client client = Connect();
  client.Send("POST /function/hello HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
  for (int i = 0; i < 10; ++i) {
    client.Send("1\r\nb\r\n");
    for (int j = 0; j < 5; ++j) loop_.run_one_for(milliseconds(1));
    Advance(config_.body_timeout / 4);
  }
  Expect408(client, "gateway.min_rate");
  EXPECT_EQ(wasm_.invocations(), 0u);
}

TEST_F(GatewayTest, ABodyAtTheLowestRateIsTaken) {
  config_.min_rate_bytes = 1;
  config_.body_timeout = milliseconds(4000);
  Restart();
  Deploy(kUnchanged);
  Client client = Connect();
  client.Send("POST /function/hello HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
  for (int i = 0; i < 10; ++i) {
    client.Send("2\r\nbb\r\n");
    for (int j = 0; j < 5; ++j) loop_.run_one_for(milliseconds(1));
    Advance(milliseconds(2000));
  }
  client.Send("0\r\n\r\n");
  EXPECT_EQ(client.Read()->status, 200);
}

TEST_F(GatewayTest, AClientThatTakesNothingIsGivenUp) {
  Deploy(kUnchanged);
  wasm_.SetHandler([](const WasmInvocation&) -> Result<FakeWasmAnswer> {
    return FakeWasmAnswer{{}, std::string(16u << 20, 'x')};
  });
  Client client = Connect();
  client.Send(Get("/function/hello"));
  PumpUntil([this] { return wasm_.invocations() == 1; });
  for (int i = 0; i < 10; ++i) loop_.run_one_for(milliseconds(1));
  Advance(config_.body_timeout + milliseconds(1));
  PumpUntil([this] { return metrics_.Serialize().find("connections 0") != std::string::npos; });
  EXPECT_THAT(metrics_.Serialize(), HasSubstr("outcome=\"cancelled\"} 1"));
}

TEST_F(GatewayTest, AClientThatLeavesEndsItsGuest) {
  Deploy(kUnchanged);
  wasm_.Hold();
  Client client = Connect();
  client.Send(Get("/function/hello"));
  PumpUntil([this] { return wasm_.running() == 1; });
  client.Close();
  Advance(milliseconds(1));
  PumpUntil([this] { return wasm_.cancelled() == 1; });
  EXPECT_EQ(router_.Status(FunctionName{"hello"}).wasm_running, 0u);
}

TEST_F(GatewayTest, AClientThatLeavesBehindAPipelinedRequestEndsItsGuest) {
  Deploy(kUnchanged);
  wasm_.Hold();
  Client client = Connect();
  client.Send(Get("/function/hello") + Get("/function/hello"));
  PumpUntil([this] { return wasm_.running() == 1; });
  client.Close();
  Advance(milliseconds(1));
  PumpUntil([this] { return wasm_.cancelled() == 1; });
  PumpUntil([this] { return metrics_.Serialize().find("connections 0") != std::string::npos; });
  EXPECT_EQ(wasm_.invocations(), 1u);
}

TEST_F(GatewayTest, AFullNodeClosesTheLongestIdleConnectionFirst) {
  config_.max_connections = 2;
  Restart();
  Client first = Connect();
  Client second = Connect();
  EXPECT_EQ(first.Exchange(Get("/healthz"))->status, 200);
  EXPECT_EQ(second.Exchange(Get("/healthz"))->status, 200);
  EXPECT_EQ(first.Exchange(Get("/healthz"))->status, 200);
  Client third = Connect();
  EXPECT_EQ(third.Exchange(Get("/healthz"))->status, 200);
  EXPECT_TRUE(second.IsClosed());
  EXPECT_EQ(first.Exchange(Get("/healthz"))->status, 200);
}

TEST_F(GatewayTest, AFullNodeWithNothingIdleAnswers503) {
  config_.max_connections = 1;
  Restart();
  Deploy(kUnchanged);
  wasm_.Hold();
  Client busy = Connect();
  busy.Send(Get("/function/hello"));
  PumpUntil([this] { return wasm_.running() == 1; });
  Client surplus = Connect();
  const auto answer = surplus.Read();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 503);
  EXPECT_EQ(answer->Get("Retry-After"), "1");
  EXPECT_THAT(answer->body, HasSubstr("too many connections"));
  EXPECT_TRUE(surplus.IsClosed());
  wasm_.ReleaseAll();
  EXPECT_EQ(busy.Read()->status, 200);
}

TEST_F(GatewayTest, ManyThatAreSlowTogetherAreAllEnded) {
  std::list<Client> clients;
  for (int i = 0; i < 300; ++i) {
    clients.push_back(Connect());
    clients.back().Send("GET / HTTP/1.1\r\n");
  }
  Client idle = Connect();
  EXPECT_EQ(idle.Exchange(Get("/healthz"))->status, 200);
  Advance(config_.header_timeout + milliseconds(1));
  for (Client& client : clients) Expect408(client, "header timeout");
  EXPECT_EQ(idle.Exchange(Get("/healthz"))->status, 200);
}

// Starts to drain; `ended` gets the result.
void StartDrain(boost::asio::io_context& loop, Gateway& gateway, std::optional<Result<>>& ended) {
  boost::asio::co_spawn(loop, gateway.Drain(),
                        [&ended](std::exception_ptr, Result<> result) { ended = result; });
}

TEST_F(GatewayTest, DrainingFinishesWhatRunsAndClosesWhatIsIdle) {
  Deploy(kUnchanged);
  Client idle = Connect();
  EXPECT_EQ(idle.Exchange(Get("/healthz"))->status, 200);
  wasm_.Hold();
  Client busy = Connect();
  busy.Send(Get("/function/hello"));
  PumpUntil([this] { return wasm_.running() == 1; });
  const uint16_t port = gateway_->port();
  std::optional<Result<>> ended;
  StartDrain(loop_, *gateway_, ended);
  EXPECT_TRUE(idle.IsClosed());
  Client late(loop_, port);
  EXPECT_TRUE(late.IsClosed());
  EXPECT_FALSE(ended);
  wasm_.ReleaseAll();
  const auto answer = busy.Read();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(answer->Get("Connection"), "close");
  PumpUntil([&ended] { return ended.has_value(); });
  EXPECT_TRUE(*ended);
}

TEST_F(GatewayTest, DrainingAnswersWhatHasArrivedAndIsNotRead) {
  Client client = Connect();
  EXPECT_EQ(client.Exchange(Get("/healthz"))->status, 200);
  client.Send(Get("/healthz"));
  std::optional<Result<>> ended;
  StartDrain(loop_, *gateway_, ended);
  const auto answer = client.Read();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(answer->Get("Connection"), "close");
  PumpUntil([&ended] { return ended.has_value(); });
  EXPECT_TRUE(*ended);
}

TEST_F(GatewayTest, DrainingAnswersWhoIsConnectedAndNotYetAccepted) {
  Client first = Connect();
  first.Send(Get("/healthz"));
  Client second = Connect();
  second.Send(Get("/healthz"));
  std::optional<Result<>> ended;
  StartDrain(loop_, *gateway_, ended);
  for (Client* client : {&first, &second}) {
    const auto answer = client->Read();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 200);
    EXPECT_EQ(answer->Get("Connection"), "close");
  }
  PumpUntil([&ended] { return ended.has_value(); });
  EXPECT_TRUE(*ended);
}

TEST_F(GatewayTest, DrainingAnswersWhatIsOnItsWay) {
  Client client = Connect();
  std::optional<Result<>> ended;
  StartDrain(loop_, *gateway_, ended);
  loop_.restart();
  loop_.poll();
  client.Send(Get("/healthz"));
  const auto answer = client.Read();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->Get("Connection"), "close");
  PumpUntil([&ended] { return ended.has_value(); });
  EXPECT_TRUE(*ended);
}

TEST_F(GatewayTest, AfterTheDrainTimeoutRequestsAreEnded) {
  config_.drain_timeout = milliseconds(5);
  Restart();
  Deploy(kUnchanged);
  wasm_.Hold();
  Client busy = Connect();
  busy.Send(Get("/function/hello"));
  PumpUntil([this] { return wasm_.running() == 1; });
  std::optional<Result<>> ended;
  StartDrain(loop_, *gateway_, ended);
  PumpUntil([&ended] { return ended.has_value(); });
  ASSERT_FALSE(*ended);
  EXPECT_THAT(ended->error().message, HasSubstr("drain timeout: 1 requests"));
  EXPECT_EQ(wasm_.cancelled(), 1u);
  EXPECT_FALSE(busy.Read());
}

TEST_F(GatewayTest, DrainingWithoutConnectionsEndsAtOnce) {
  EXPECT_TRUE(Await(loop_, gateway_->Drain()));
  EXPECT_EQ(gateway_->port(), 0);
}

}  // namespace
}  // namespace hybridserve
