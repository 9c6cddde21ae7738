#include "container/forward.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <memory>
#include <string>

#include "container/fake/fake_exchange.h"
#include "container/fake/fake_runtime.h"
#include "container/test_loop.h"

namespace hybridserve {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using ::testing::HasSubstr;

asio::awaitable<void> Say(FakeSocket& socket, std::string bytes) {
  co_await asio::async_write(socket, asio::buffer(bytes), asio::as_tuple(asio::use_awaitable));
}

// Reads and drops what comes, until the other end closes.
asio::awaitable<void> ReadOn(FakeSocket& socket) {
  std::vector<char> buffer(64 * 1024);
  for (;;) {
    const auto [error, size] =
        co_await socket.async_read_some(asio::buffer(buffer), asio::as_tuple(asio::use_awaitable));
    if (error) co_return;
  }
}

// One exchange between a client and a container that the test programs.
class ForwardTest : public testing::Test {
 protected:
  // What the container does with its connection.
  void Serve(std::function<asio::awaitable<void>(FakeSocket&)> serve) { program_.serve = serve; }
  void Answer(std::string bytes) {
    program_.answer = [this, bytes](const FakeRequest& request) {
      request_ = request;
      return bytes;
    };
  }

  void Connect() {
    runtime_.program = [this](const ContainerSpec&) { return program_; };
    id_ = loop_.Run(runtime_.Create()).value();
    ASSERT_TRUE(loop_.Run(runtime_.Start(id_, {})));
    Reconnect();
  }
  void Reconnect() {
    connection_ =
        std::make_unique<Connection>(loop_.executor(), loop_.Run(runtime_.Connect(id_)).value());
    loop_.Settle();
  }

  TestLoop::Task<Forwarder::Outcome> Begin() {
    if (!connection_) Connect();
    if (!forwarder_) {
      forwarder_ = std::make_unique<Forwarder>(loop_.executor(), clock_, client_, 10s, add_);
    }
    return loop_.Start(Run(*forwarder_, *connection_));
  }
  Forwarder::Outcome Forward() {
    auto task = Begin();
    EXPECT_TRUE(task.done()) << "the forwarder waits for something";
    return task.result();
  }
  static asio::awaitable<Forwarder::Outcome> Run(Forwarder& forwarder, Connection& connection) {
    co_await asio::this_coro::throw_if_cancelled(false);
    Forwarder::Outcome outcome = co_await forwarder.Run(connection);
    co_return outcome;
  }

  TestLoop loop_;
  ManualClock clock_;
  FakeRuntime runtime_{loop_.executor(), clock_};
  FakeProgram program_;
  ContainerId id_;
  std::unique_ptr<Connection> connection_;
  FakeExchange client_{loop_.executor()};
  FakeRequest request_;
  AddHeaders add_ = [](ResponseHead& head, Microseconds) {
    head.headers.push_back({"X-Added", "yes"});
  };
  std::unique_ptr<Forwarder> forwarder_;
};

TEST_F(ForwardTest, CarriesASmallRequestAndItsAnswer) {
  Answer("HTTP/1.1 201 Created\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello");
  client_.Post("question");
  const Forwarder::Outcome outcome = Forward();
  ASSERT_TRUE(outcome.result) << outcome.result.error().message;
  EXPECT_TRUE(outcome.reusable);
  EXPECT_EQ(outcome.result->status, 201);
  EXPECT_EQ(request_.Line(), "POST / HTTP/1.1");
  EXPECT_EQ(request_.body, "question");
  EXPECT_EQ(client_.answer().status, 201);
  EXPECT_EQ(client_.Field("Content-Type"), "text/plain");
  EXPECT_EQ(client_.Field("X-Added"), "yes");
  EXPECT_EQ(client_.body(), "hello");
  EXPECT_TRUE(client_.complete());
}

TEST_F(ForwardTest, AnswersASmallChunkedResponseInOnePiece) {
  Answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
  const Forwarder::Outcome outcome = Forward();
  ASSERT_TRUE(outcome.result);
  EXPECT_TRUE(outcome.reusable);
  EXPECT_EQ(client_.body(), "abcde");
  EXPECT_EQ(client_.announced(), 5);
}

TEST_F(ForwardTest, PassesALengthOnWhereThereIsNoBody) {
  Answer("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
  client_.request().method = "HEAD";
  const Forwarder::Outcome outcome = Forward();
  ASSERT_TRUE(outcome.result);
  EXPECT_TRUE(outcome.reusable);
  EXPECT_EQ(client_.announced(), 1000);
  EXPECT_TRUE(client_.complete());
  EXPECT_EQ(client_.body_bytes(), 0);
}

TEST_F(ForwardTest, AnswersWithoutABody) {
  Answer("HTTP/1.1 204 No Content\r\n\r\n");
  const Forwarder::Outcome outcome = Forward();
  ASSERT_TRUE(outcome.result);
  EXPECT_TRUE(outcome.reusable);
  EXPECT_EQ(client_.answer().status, 204);
  EXPECT_TRUE(client_.complete());
}

TEST_F(ForwardTest, SkipsInterimAnswersThatComeOnTheirOwn) {
  Serve([](FakeSocket& socket) -> asio::awaitable<void> {
    std::string buffer;
    co_await ReadFakeRequest(socket, buffer);
    co_await Say(socket, "HTTP/1.1 103 Early Hints\r\n\r\n");
    co_await asio::post(socket.get_executor(), asio::use_awaitable);
    co_await Say(socket, FakeAnswer("late"));
    co_await ReadOn(socket);
  });
  const Forwarder::Outcome outcome = Forward();
  ASSERT_TRUE(outcome.result);
  EXPECT_EQ(client_.body(), "late");
}

TEST_F(ForwardTest, ReadsABodyToTheEndOfTheConnection) {
  Serve([](FakeSocket& socket) -> asio::awaitable<void> {
    std::string buffer;
    co_await ReadFakeRequest(socket, buffer);
    co_await Say(socket, "HTTP/1.0 200 OK\r\n\r\nall of ");
    co_await asio::post(socket.get_executor(), asio::use_awaitable);
    co_await Say(socket, "it");
  });
  const Forwarder::Outcome outcome = Forward();
  ASSERT_TRUE(outcome.result);
  EXPECT_FALSE(outcome.reusable);
  EXPECT_EQ(client_.body(), "all of it");
  EXPECT_EQ(client_.announced(), std::nullopt);
  EXPECT_TRUE(client_.complete());
}

TEST_F(ForwardTest, StreamsAnUploadOfUnknownLengthAsItComes) {
  Answer(FakeAnswer("got it"));
  client_.request().method = "PUT";
  client_.request().has_body = true;
  auto task = Begin();
  client_.AddBody("one ");
  loop_.Settle();
  client_.AddBody(std::string(100'000, 'x'));
  loop_.Settle();
  EXPECT_FALSE(task.done());
  client_.EndBody();
  loop_.Settle();
  ASSERT_TRUE(task.done());
  ASSERT_TRUE(task.result().result) << task.result().result.error().message;
  EXPECT_TRUE(task.result().reusable);
  EXPECT_EQ(request_.body, "one " + std::string(100'000, 'x'));
  EXPECT_EQ(client_.body(), "got it");
}

TEST_F(ForwardTest, StreamsALargeUploadOfKnownLength) {
  Answer(FakeAnswer("got it"));
  client_.Post(std::string(3'000'000, 'y'));
  const Forwarder::Outcome outcome = Forward();
  ASSERT_TRUE(outcome.result);
  EXPECT_TRUE(outcome.reusable);
  EXPECT_EQ(request_.body.size(), 3'000'000);
}

TEST_F(ForwardTest, StreamsALargeAnswerInPiecesOfBoundedSize) {
  const size_t size = 40'000'000;
  Serve([size](FakeSocket& socket) -> asio::awaitable<void> {
    std::string buffer;
    co_await ReadFakeRequest(socket, buffer);
    std::string head = "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n";
    co_await Say(socket, std::move(head));
    for (size_t sent = 0; sent < size; sent += 1'000'000) {
      co_await Say(socket, std::string(1'000'000, 'z'));
    }
    co_await ReadOn(socket);
  });
  client_.KeepNoBody();
  const Forwarder::Outcome outcome = Forward();
  ASSERT_TRUE(outcome.result);
  EXPECT_TRUE(outcome.reusable);
  EXPECT_EQ(client_.body_bytes(), size);
  EXPECT_EQ(client_.announced(), size);
  EXPECT_LE(client_.largest_piece(), 64 * 1024);
}

TEST_F(ForwardTest, ReadsNoFurtherThanASlowClientTakes) {
  size_t sent = 0;
  Serve([&sent](FakeSocket& socket) -> asio::awaitable<void> {
    std::string buffer;
    co_await ReadFakeRequest(socket, buffer);
    co_await Say(socket, "HTTP/1.1 200 OK\r\n\r\n");
    for (; sent < 50'000'000; sent += 100'000) co_await Say(socket, std::string(100'000, 'z'));
  });
  client_.KeepNoBody();
  client_.TakeOnly(1'000'000);
  auto task = Begin();
  EXPECT_FALSE(task.done());
  EXPECT_LT(sent, 3'000'000);
  client_.TakeAll();
  loop_.Settle();
  ASSERT_TRUE(task.done());
  EXPECT_EQ(client_.body_bytes(), 50'000'000);
}

TEST_F(ForwardTest, BothWaysStreamAtOnce) {
  Serve([](FakeSocket& socket) -> asio::awaitable<void> {
    std::vector<char> bytes(1024);
    co_await socket.async_read_some(asio::buffer(bytes), asio::use_awaitable);
    co_await Say(socket, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n");
    co_await socket.async_read_some(asio::buffer(bytes), asio::use_awaitable);
    co_await Say(socket, "3\r\nbye\r\n0\r\n\r\n");
    co_await ReadOn(socket);
  });
  client_.request().method = "POST";
  client_.request().has_body = true;
  auto task = Begin();
  EXPECT_TRUE(client_.began());
  EXPECT_EQ(client_.body(), "hi");
  client_.AddBody("more");
  loop_.Settle();
  ASSERT_TRUE(task.done());
  ASSERT_TRUE(task.result().result);
  EXPECT_EQ(client_.body(), "hibye");
  // The client had not said all: the connection cannot be used again.
  EXPECT_FALSE(task.result().reusable);
}

TEST_F(ForwardTest, PassesOnAnAnswerThatComesBeforeTheUploadIsDone) {
  Serve([](FakeSocket& socket) -> asio::awaitable<void> {
    std::vector<char> bytes(1024);
    co_await socket.async_read_some(asio::buffer(bytes), asio::use_awaitable);
    co_await Say(socket, "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig");
  });
  client_.request().method = "POST";
  client_.request().has_body = true;
  client_.AddBody(std::string(1'000'000, 'x'));
  const Forwarder::Outcome outcome = Forward();
  ASSERT_TRUE(outcome.result) << outcome.result.error().message;
  EXPECT_EQ(client_.answer().status, 413);
  EXPECT_EQ(client_.body(), "big");
  EXPECT_FALSE(outcome.reusable);
}

TEST_F(ForwardTest, TellsThatTheContainerClosedBeforeItAnswered) {
  Serve([](FakeSocket& socket) -> asio::awaitable<void> {
    std::string buffer;
    co_await ReadFakeRequest(socket, buffer);
  });
  const Forwarder::Outcome outcome = Forward();
  ASSERT_FALSE(outcome.result);
  EXPECT_EQ(outcome.result.error().code, Code::kBackendDied);
  EXPECT_THAT(outcome.result.error().message, HasSubstr("before it answered"));
  EXPECT_TRUE(outcome.lost);
  EXPECT_FALSE(outcome.stale);
  EXPECT_FALSE(client_.answered());
}

TEST_F(ForwardTest, TellsSoToAClientWhoseBodyItWaitsFor) {
  Serve([](FakeSocket& socket) -> asio::awaitable<void> {
    std::vector<char> some(1);
    co_await socket.async_read_some(asio::buffer(some), asio::as_tuple(asio::use_awaitable));
  });
  client_.request().method = "POST";
  client_.request().has_body = true;
  client_.AddBody("begin");
  const Forwarder::Outcome outcome = Forward();
  ASSERT_FALSE(outcome.result);
  EXPECT_EQ(outcome.result.error().code, Code::kBackendDied);
  EXPECT_TRUE(outcome.lost);
}

TEST_F(ForwardTest, CutsAnAnswerThatBreaksOff) {
  Serve([](FakeSocket& socket) -> asio::awaitable<void> {
    std::string buffer;
    co_await ReadFakeRequest(socket, buffer);
    co_await Say(socket, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel");
  });
  const Forwarder::Outcome outcome = Forward();
  ASSERT_FALSE(outcome.result);
  EXPECT_EQ(outcome.result.error().code, Code::kBackendDied);
  EXPECT_THAT(outcome.result.error().message, HasSubstr("in the middle of its answer"));
  EXPECT_TRUE(client_.began());
  EXPECT_FALSE(client_.complete());
}

TEST_F(ForwardTest, AnswersNothingWhenASmallAnswerBreaksOff) {
  Serve([](FakeSocket& socket) -> asio::awaitable<void> {
    std::string buffer;
    co_await ReadFakeRequest(socket, buffer);
    co_await Say(socket, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel");
  });
  const Forwarder::Outcome outcome = Forward();
  ASSERT_FALSE(outcome.result);
  EXPECT_EQ(outcome.result.error().code, Code::kBackendDied);
  EXPECT_FALSE(client_.began());
}

TEST_F(ForwardTest, RefusesWhatIsNotHttp) {
  Answer("SMTP ready\r\n");
  const Forwarder::Outcome outcome = Forward();
  ASSERT_FALSE(outcome.result);
  EXPECT_EQ(outcome.result.error().code, Code::kFunctionFailed);
  EXPECT_THAT(outcome.result.error().message, HasSubstr("not valid HTTP/1.1"));
  EXPECT_FALSE(outcome.reusable);
}

TEST_F(ForwardTest, RefusesAHeadWithoutEnd) {
  Answer("HTTP/1.1 200 OK\r\nX: " + std::string(200'000, 'a'));
  const Forwarder::Outcome outcome = Forward();
  ASSERT_FALSE(outcome.result);
  EXPECT_THAT(outcome.result.error().message, HasSubstr("65536 bytes"));
}

TEST_F(ForwardTest, ReadsAHeadThatIsLargerThanTheBuffer) {
  std::string head = "HTTP/1.1 200 OK\r\n";
  for (int i = 0; i < 50; ++i) {
    head += "X-" + std::to_string(i) + ": " + std::string(1000, 'a') + "\r\n";
  }
  Answer(head + "Content-Length: 2\r\n\r\nhi");
  const Forwarder::Outcome outcome = Forward();
  ASSERT_TRUE(outcome.result);
  EXPECT_EQ(client_.Field("X-49").size(), 1000);
  EXPECT_EQ(client_.body(), "hi");
}

TEST_F(ForwardTest, DoesNotReuseAConnectionWithBytesBehindTheAnswer) {
  Answer(FakeAnswer("hi") + "HTTP/1.1 200 OK\r\n");
  const Forwarder::Outcome outcome = Forward();
  ASSERT_TRUE(outcome.result);
  EXPECT_EQ(client_.body(), "hi");
  EXPECT_FALSE(outcome.reusable);
}

TEST_F(ForwardTest, EndsARequestThatRunsTooLong) {
  Serve([](FakeSocket& socket) -> asio::awaitable<void> { co_await ReadOn(socket); });
  auto task = Begin();
  clock_.Advance(9s);
  loop_.Settle();
  EXPECT_FALSE(task.done());
  clock_.Advance(1s);
  loop_.Settle();
  ASSERT_TRUE(task.done());
  ASSERT_FALSE(task.result().result);
  EXPECT_EQ(task.result().result.error().code, Code::kTimeout);
  EXPECT_THAT(task.result().result.error().message, HasSubstr("run timeout"));
  EXPECT_FALSE(task.result().lost);
  EXPECT_EQ(runtime_.open_connections(id_), 0);
}

TEST_F(ForwardTest, EndsAnAnswerThatASlowClientDrawsOutPastTheTimeout) {
  Serve([](FakeSocket& socket) -> asio::awaitable<void> {
    std::string buffer;
    co_await ReadFakeRequest(socket, buffer);
    co_await Say(socket, "HTTP/1.1 200 OK\r\n\r\n" + std::string(100'000, 'a'));
  });
  client_.TakeOnly(10);
  auto task = Begin();
  EXPECT_FALSE(task.done());
  clock_.Advance(11s);
  loop_.Settle();
  ASSERT_TRUE(task.done());
  ASSERT_FALSE(task.result().result);
  EXPECT_EQ(task.result().result.error().code, Code::kTimeout);
  EXPECT_TRUE(client_.began());
  EXPECT_FALSE(client_.complete());
}

TEST_F(ForwardTest, ClosesTheContainersConnectionWhenTheClientGoesAway) {
  Serve([](FakeSocket& socket) -> asio::awaitable<void> { co_await ReadOn(socket); });
  auto task = Begin();
  EXPECT_EQ(runtime_.open_connections(id_), 1);
  task.Cancel();
  loop_.Settle();
  ASSERT_TRUE(task.done());
  ASSERT_FALSE(task.result().result);
  EXPECT_EQ(task.result().result.error().code, Code::kCancelled);
  EXPECT_EQ(runtime_.open_connections(id_), 0);
}

TEST_F(ForwardTest, ClosesTheConnectionWhenTheClientGoesAwayWhileBothWaysStream) {
  Serve([](FakeSocket& socket) -> asio::awaitable<void> {
    co_await Say(socket, "HTTP/1.1 200 OK\r\n\r\nstart");
    co_await ReadOn(socket);
  });
  client_.request().method = "POST";
  client_.request().has_body = true;
  auto task = Begin();
  EXPECT_TRUE(client_.began());
  task.Cancel();
  loop_.Settle();
  ASSERT_TRUE(task.done());
  ASSERT_FALSE(task.result().result);
  EXPECT_EQ(task.result().result.error().code, Code::kCancelled);
  EXPECT_EQ(runtime_.open_connections(id_), 0);
}

struct BodyFailure {
  std::string name;
  bool known_length;
};
class ForwardBodyFailure : public ForwardTest, public testing::WithParamInterface<BodyFailure> {};

TEST_P(ForwardBodyFailure, IsTheResultAndTheContainerDoesNotTakeItForTheWholeBody) {
  bool saw_request = false;
  program_.answer = [&saw_request](const FakeRequest&) {
    saw_request = true;
    return FakeAnswer("whole");
  };
  client_.request().method = "POST";
  client_.request().has_body = true;
  if (GetParam().known_length) client_.request().content_length = 1'000'000;
  client_.AddBody("begin");
  auto task = Begin();
  client_.FailBody({Code::kTooLarge, "over the limit"});
  loop_.Settle();
  ASSERT_TRUE(task.done());
  ASSERT_FALSE(task.result().result);
  EXPECT_EQ(task.result().result.error().code, Code::kTooLarge);
  EXPECT_FALSE(saw_request);
  EXPECT_FALSE(task.result().reusable);
  EXPECT_FALSE(task.result().lost);
}

INSTANTIATE_TEST_SUITE_P(Forward, ForwardBodyFailure,
                         testing::Values(BodyFailure{"Chunked", false},
                                         BodyFailure{"KnownLength", true}),
                         [](const auto& test) { return test.param.name; });

TEST_F(ForwardTest, LeavesTheConnectionAloneWhenASmallBodyFails) {
  client_.request().method = "POST";
  client_.request().has_body = true;
  client_.request().content_length = 100;
  client_.FailBody({Code::kTimeout, "the client stopped sending"});
  const Forwarder::Outcome outcome = Forward();
  ASSERT_FALSE(outcome.result);
  EXPECT_EQ(outcome.result.error().code, Code::kTimeout);
  EXPECT_TRUE(outcome.reusable);
}

TEST_F(ForwardTest, RefusesABodyThatIsShorterThanItSaid) {
  client_.request().method = "POST";
  client_.request().has_body = true;
  client_.request().content_length = 1'000'000;
  client_.AddBody("short");
  client_.EndBody();
  const Forwarder::Outcome outcome = Forward();
  ASSERT_FALSE(outcome.result);
  EXPECT_EQ(outcome.result.error().code, Code::kInvalidArgument);
}

// A kept connection that the container closes as the next request arrives.
class ForwardStale : public ForwardTest {
 protected:
  Forwarder::Outcome UseTwice() {
    Serve([](FakeSocket& socket) -> asio::awaitable<void> {
      std::string buffer;
      co_await ReadFakeRequest(socket, buffer);
      co_await Say(socket, FakeAnswer("first"));
      co_await ReadFakeRequest(socket, buffer);  // and closes
    });
    Connect();
    FakeExchange first(loop_.executor());
    Forwarder forwarder(loop_.executor(), clock_, first, 10s, add_);
    EXPECT_TRUE(loop_.Run(Run(forwarder, *connection_)).reusable);
    return Forward();
  }
};

TEST_F(ForwardStale, AnIdempotentRequestMayBeSentAgain) {
  client_.request().method = "PUT";
  client_.Post("body");
  client_.request().method = "PUT";
  const Forwarder::Outcome outcome = UseTwice();
  EXPECT_FALSE(outcome.result);
  EXPECT_TRUE(outcome.stale);
  // The body was kept: a second run needs nothing from the client.
  program_ = {};
  Answer(FakeAnswer("second"));
  Connect();
  const Forwarder::Outcome again = Forward();
  ASSERT_TRUE(again.result) << again.result.error().message;
  EXPECT_EQ(request_.body, "body");
  EXPECT_EQ(client_.body(), "second");
}

TEST_F(ForwardStale, OtherRequestsMayNot) {
  client_.Post("body");
  const Forwarder::Outcome outcome = UseTwice();
  EXPECT_FALSE(outcome.result);
  EXPECT_FALSE(outcome.stale);
}

TEST_F(ForwardStale, NorOneWhoseBodyHasStreamed) {
  client_.Post(std::string(100'000, 'x'));
  client_.request().method = "PUT";
  const Forwarder::Outcome outcome = UseTwice();
  EXPECT_FALSE(outcome.result);
  EXPECT_FALSE(outcome.stale);
}

}  // namespace
}  // namespace hybridserve
