// Bodies that stream, through a container's slot.
#include <gmock/gmock.h>
#include <malloc.h>
#include <sys/socket.h>

#include <cerrno>

#include "gateway/gateway_fixture.h"

namespace hybridserve {
namespace {

using testing::Not;

const auto kUnchanged = [](Deployed&) {};

class GatewayStreamTest : public GatewayTest {
 protected:
  void SetUp() override {
    GatewayTest::SetUp();
    pool_.SetFree(4);
    Deploy([](Deployed& f) { f.manifest.limits.body_bytes = 1u << 30; });
  }
};

// A container that reads the whole body before it answers with it.
Awaitable<ForwardResult> AfterTheBody(Exchange& exchange, FakePool::AddHeaders /*add_headers*/) {
  std::string body;
  for (;;) {
    CO_TRY_ASSIGN(const std::string_view piece, co_await exchange.ReadBody());
    if (piece.empty()) break;
    body += piece;
  }
  CO_TRY(co_await exchange.Begin(ResponseHead{}, body.size()));
  CO_TRY(co_await exchange.Write(body));
  CO_TRY(co_await exchange.End());
  co_return ForwardResult{.status = 200};
}

TEST_F(GatewayStreamTest, AnAnswerWithoutALengthIsChunked) {
  const auto answer = Call(
      "POST /function/hello HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->Get("Transfer-Encoding"), "chunked");
  EXPECT_EQ(answer->body, "abcde");
  EXPECT_EQ(answer->Get("HybridServe-Backend"), "container");
}

TEST_F(GatewayStreamTest, AnAnswerWithALengthHasIt) {
  const auto answer = Call(Post("abcde"));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->Get("Content-Length"), "5");
  EXPECT_EQ(answer->body, "abcde");
}

// Nobody knows yet whether the rest of the request will come.
TEST_F(GatewayStreamTest, AnAnswerThatBeginsBeforeTheBodyWasReadIsTheConnectionsLast) {
  Client client = Connect();
  const auto answer = client.Exchange(Post("abcde"));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->Get("Connection"), "close");
  EXPECT_TRUE(client.IsClosed());
}

TEST_F(GatewayStreamTest, AnAnswerThatBeginsAfterTheBodyKeepsTheConnection) {
  pool_.SetForwarder(AfterTheBody);
  Client client = Connect();
  for (const std::string body : {"abcde", "fg"}) {
    const auto answer = client.Exchange(Post(body));
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->body, body);
    EXPECT_EQ(answer->Get("Connection"), "(none)");
  }
}

Awaitable<ForwardResult> Stream(Exchange& exchange, FakePool::AddHeaders /*add_headers*/) {
  CO_TRY(co_await exchange.Begin(ResponseHead{}, std::nullopt));
  CO_TRY(co_await exchange.Write("abc"));
  CO_TRY(co_await exchange.Write(""));
  CO_TRY(co_await exchange.Write("de"));
  CO_TRY(co_await exchange.End());
  co_return ForwardResult{.status = 200};
}

TEST_F(GatewayStreamTest, AnHttp10ClientGetsNoChunks) {
  pool_.SetForwarder(Stream);
  const auto answer = Call("GET /function/hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->Get("Transfer-Encoding"), "(none)");
  EXPECT_EQ(answer->Get("Connection"), "close");
  EXPECT_EQ(answer->body, "abcde");
}

TEST_F(GatewayStreamTest, HeadOfAStreamedAnswerHasNoBody) {
  pool_.SetForwarder(Stream);
  Client client = Connect();
  EXPECT_EQ(client.Exchange("HEAD /function/hello HTTP/1.1\r\nHost: a\r\n\r\n")->status, 200);
  EXPECT_EQ(client.Exchange(Get("/function/hello"))->body, "abcde");
}

Awaitable<ForwardResult> DieHalfWay(Exchange& exchange, FakePool::AddHeaders /*add_headers*/) {
  CO_TRY(co_await exchange.Begin(ResponseHead{}, 100));
  CO_TRY(co_await exchange.Write("half"));
  co_return Fail(Code::kFunctionFailed, "the container died");
}

Awaitable<ForwardResult> SayTooMuch(Exchange& exchange, FakePool::AddHeaders /*add_headers*/) {
  CO_TRY(co_await exchange.Begin(ResponseHead{}, 2));
  CO_TRY(co_await exchange.Write("abc"));
  co_return ForwardResult{.status = 200};
}

Awaitable<ForwardResult> SayTooLittle(Exchange& exchange, FakePool::AddHeaders /*add_headers*/) {
  CO_TRY(co_await exchange.Begin(ResponseHead{}, 4));
  CO_TRY(co_await exchange.Write("abc"));
  CO_TRY(co_await exchange.End());
  co_return ForwardResult{.status = 200};
}

TEST_F(GatewayStreamTest, ACutAnswerResetsTheConnection) {
  for (const auto& forwarder : {DieHalfWay, SayTooMuch, SayTooLittle}) {
    pool_.SetForwarder(forwarder);
    Client client = Connect();
    client.Send(Get("/function/hello"));
    EXPECT_FALSE(client.Read());
    EXPECT_TRUE(client.was_reset());
  }
}

TEST_F(GatewayStreamTest, AClientThatLeavesInTheMiddleOfItsBodyIsCancelled) {
  Client client = Connect();
  client.Send("POST /function/hello HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc");
  client.Close();
  PumpUntil([this] {
    return metrics_.Serialize().find("outcome=\"cancelled\"} 1") != std::string::npos;
  });
}

// Half a gigabyte up and down again through the echo. What is held must not grow with it.
TEST_F(GatewayStreamTest, BigBodiesStreamBothWaysAtFlatMemory) {
  constexpr uint64_t kBytes = 512u << 20;
  Client client = Connect();
  client.Send("POST /function/hello HTTP/1.1\r\nHost: a\r\nContent-Length: " +
              std::to_string(kBytes) + "\r\n\r\n");
  const size_t allocated_before = ::mallinfo2().uordblks + ::mallinfo2().hblkhd;
  const std::string piece(256 * 1024, 'x');
  uint64_t sent = 0;
  uint64_t received = 0;
  size_t most_allocated = 0;
  PumpUntil([&] { return !client.received().empty() || (client.Drink(), false); });
  received = client.received().size() - (client.received().find("\r\n\r\n") + 4);
  EXPECT_THAT(client.received(), testing::StartsWith("HTTP/1.1 200"));
  client.received().clear();
  while (received < kBytes) {
    const size_t want = std::min<uint64_t>(piece.size(), kBytes - sent);
    const ssize_t got = ::send(client.fd(), piece.data(), want, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (got > 0) sent += static_cast<uint64_t>(got);
    loop_.restart();
    loop_.poll();
    client.Drink();
    received += client.received().size();
    client.received().clear();
    const struct mallinfo2 info = ::mallinfo2();
    most_allocated = std::max(most_allocated, info.uordblks + info.hblkhd);
  }
  EXPECT_EQ(received, kBytes);
  // The test's own buffers included.
  EXPECT_LT(most_allocated, allocated_before + (8u << 20));
}

// A client that reads nothing stops the function, too: the echo's memory does not grow either.
TEST_F(GatewayStreamTest, ASlowReaderHoldsTheSenderBack) {
  constexpr uint64_t kBytes = 256u << 20;
  Client client = Connect();
  client.Send("POST /function/hello HTTP/1.1\r\nHost: a\r\nContent-Length: " +
              std::to_string(kBytes) + "\r\n\r\n");
  const std::string piece(256 * 1024, 'x');
  uint64_t sent = 0;
  int stuck = 0;
  while (stuck < 100 && sent < kBytes) {
    const ssize_t got =
        ::send(client.fd(), piece.data(), piece.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    stuck = got > 0 ? 0 : stuck + 1;
    if (got > 0) sent += static_cast<uint64_t>(got);
    loop_.restart();
    loop_.poll();
  }
  // What the kernel's buffers of both directions hold, and not all of it.
  EXPECT_LT(sent, kBytes / 2);
  client.Close();
}

}  // namespace
}  // namespace hybridserve
