#include "egress/proxy.h"

#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "container/connection.h"
#include "container/test_loop.h"

namespace hybridserve {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
constexpr auto kNoThrow = asio::as_tuple(asio::use_awaitable);

// What a function calls: a server on a port of this machine.
class Server {
 public:
  using Answer = std::function<asio::awaitable<void>(tcp::socket&, std::string& received)>;

  Server(asio::io_context& io, Answer answer)
      : acceptor_(io, tcp::endpoint(asio::ip::address_v4::loopback(), 0)),
        answer_(std::move(answer)) {
    asio::co_spawn(io, Accept(), [](std::exception_ptr) {});
  }
  [[nodiscard]] std::string address() const {
    return "127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port());
  }
  /// The heads that came.
  std::vector<std::string> heads;
  int gone = 0;  ///< Connections that the other side ended while the answer was waited for.

 private:
  asio::awaitable<void> Accept() {
    while (true) {
      auto [error, socket] = co_await acceptor_.async_accept(kNoThrow);
      if (error) co_return;
      auto shared = std::make_shared<tcp::socket>(std::move(socket));
      asio::co_spawn(acceptor_.get_executor(), Serve(shared), [](std::exception_ptr) {});
    }
  }
  asio::awaitable<void> Serve(std::shared_ptr<tcp::socket> socket) {
    std::string received;
    char bytes[4096];
    while (received.find("\r\n\r\n") == std::string::npos) {
      const auto [error, size] = co_await socket->async_read_some(asio::buffer(bytes), kNoThrow);
      if (error) co_return;
      received.append(bytes, size);
    }
    const size_t end = received.find("\r\n\r\n") + 4;
    heads.push_back(received.substr(0, end));
    received.erase(0, end);
    co_await answer_(*socket, received);
  }

  tcp::acceptor acceptor_;
  Answer answer_;
};

asio::awaitable<void> Send(tcp::socket& socket, std::string bytes) {
  co_await asio::async_write(socket, asio::buffer(bytes), kNoThrow);
}

Server::Answer Always(std::string bytes) {
  return [bytes](tcp::socket& socket, std::string&) { return Send(socket, bytes); };
}

class ProxyTest : public testing::Test {
 protected:
  ProxyTest() {
    options_.allowed = {"127.0.0.1:*", "localhost:*", "*"};
    manifest_.name.value = "caller";
    manifest_.network = {"127.0.0.1:*", "localhost:*", "*.example.com:*"};
  }

  Connection& Client() {
    if (!proxy_) proxy_.emplace(loop_.executor(), options_, metrics_);
    auto deployed = std::make_shared<Deployed>();
    deployed->manifest = manifest_;
    Result<UniqueFd> fd = proxy_->Connect(deployed);
    EXPECT_TRUE(fd);
    client_.emplace(loop_.executor(), std::move(*fd));
    return *client_;
  }
  static Awaitable<std::string> ReadUntil(Connection& client, std::string end) {
    std::string answer;
    char bytes[65536];
    while (end.empty() || !answer.ends_with(end)) {
      CO_TRY_ASSIGN(const size_t size, co_await client.Read(bytes, Connection::Expect::kNothingYet));
      if (size == 0) break;
      answer.append(bytes, size);
    }
    co_return answer;
  }
  // What comes up to `end`; all up to the connection's end without one.
  std::string Read(std::string end = "") {
    return loop_.Await(ReadUntil(*client_, std::move(end))).value_or("failed");
  }
  void Write(std::string_view bytes) { ASSERT_TRUE(loop_.Await(client_->Write(bytes))); }
  std::string Ask(const std::string& request, std::string end = "}}\n") {
    if (!client_) Client();
    Write(request);
    return Read(std::move(end));
  }
  static std::string Get(const std::string& authority, const std::string& path = "/") {
    return "GET http://" + authority + path + " HTTP/1.1\r\nHost: " + authority + "\r\n\r\n";
  }
  double Counted(const std::string& result) {
    const std::string text = metrics_.Serialize();
    const std::string series =
        "hybridserve_egress_requests_total{function=\"caller\",result=\"" + result + "\"} ";
    const size_t at = text.find(series);
    return at == std::string::npos ? 0 : std::stod(text.substr(at + series.size()));
  }

  TestLoop loop_;
  Metrics metrics_;
  EgressOptions options_;
  Manifest manifest_;
  std::optional<Proxy> proxy_;
  std::optional<Connection> client_;
};

TEST_F(ProxyTest, CarriesARequestAndItsAnswerAndKeepsTheConnection) {
  Server server(loop_.io, Always("HTTP/1.1 201 Created\r\nContent-Length: 5\r\nX-A: b\r\n"
                                 "Connection: X-Hop\r\nX-Hop: 1\r\n\r\nhello"));
  for (int i = 0; i < 3; ++i) {
    const std::string answer = Ask(Get(server.address(), "/a?b=c"), "hello");
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 201 Created\r\n"));
    EXPECT_THAT(answer, HasSubstr("X-A: b\r\n"));
    EXPECT_THAT(answer, Not(HasSubstr("X-Hop")));
  }
  ASSERT_EQ(server.heads.size(), 3u);
  EXPECT_THAT(server.heads[0],
              StartsWith("GET /a?b=c HTTP/1.1\r\nHost: " + server.address() + "\r\n"));
  EXPECT_EQ(Counted("ok"), 3);
}

TEST_F(ProxyTest, WhatIsNotAllowedIs403AndNamesHostAndKey) {
  const std::string answer = Ask(Get("other.example.org:81"));
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(answer, HasSubstr("'other.example.org:81'; add it to [network] allow"));
  EXPECT_THAT(answer, HasSubstr("Proxy-Status: hybridserve; error=http_request_denied"));
  EXPECT_THAT(Ask(Get("other.example.org:82")), StartsWith("HTTP/1.1 403 "));
  EXPECT_EQ(Counted("forbidden"), 2);
}

TEST_F(ProxyTest, TheNodesConfigurationCountsToo) {
  options_.allowed = {"*.example.com"};
  EXPECT_THAT(Ask(Get("127.0.0.1:81")), HasSubstr("[network] allowed of its configuration"));
}

TEST_F(ProxyTest, ANameThatResolvesInsideIs403) {
  options_.lookup = [](const std::string&) -> Result<Resolver::Addresses> {
    return Resolver::Addresses{asio::ip::make_address("127.0.0.1"),
                               asio::ip::make_address("169.254.169.254")};
  };
  const std::string answer = Ask(Get("rebound.example.com"));
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(answer, HasSubstr("which is no public address"));
}

TEST_F(ProxyTest, LocalhostIsLookedUpAndReached) {
  Server server(loop_.io, Always("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
  options_.lookup = [](const std::string&) -> Result<Resolver::Addresses> {
    return Resolver::Addresses{asio::ip::make_address("127.0.0.1")};
  };
  const std::string port = server.address().substr(server.address().find(':'));
  EXPECT_THAT(Ask(Get("localhost" + port), "ok"), StartsWith("HTTP/1.1 200 OK"));
}

TEST_F(ProxyTest, ANameWithoutAddressAndAPortWithoutServerAre502) {
  options_.lookup = [](const std::string& name) -> Result<Resolver::Addresses> {
    return Fail(Code::kNotFound, "no name " + name);
  };
  EXPECT_THAT(Ask(Get("gone.example.com")), HasSubstr("no name gone.example.com"));
  std::string closed;
  {
    Server server(loop_.io, Always(""));
    closed = server.address();
    loop_.Settle();
  }
  loop_.Settle();
  const std::string answer = Ask(Get(closed));
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 502 "));
  EXPECT_THAT(answer, HasSubstr("cannot connect to 127.0.0.1 port"));
  EXPECT_EQ(Counted("unreachable"), 2);
}

TEST_F(ProxyTest, AnAnswerThatIsNoHttpIs502) {
  Server server(loop_.io, Always("SSH-2.0-server\r\n"));
  const std::string answer = Ask(Get(server.address()));
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 502 "));
  EXPECT_THAT(answer, HasSubstr("the answer is not valid HTTP/1.1"));
}

TEST_F(ProxyTest, ADestinationThatDoesNotAnswerInRunTimeoutIs504) {
  ManualClock clock;
  options_.clock = &clock;
  manifest_.limits.run_timeout = std::chrono::seconds(7);
  Server server(loop_.io, [](tcp::socket& socket, std::string&) -> asio::awaitable<void> {
    char byte = 0;
    co_await socket.async_read_some(asio::buffer(&byte, 1), kNoThrow);
  });
  Client();
  Write(Get(server.address()));
  loop_.RunUntil([&server] { return !server.heads.empty(); });
  clock.Advance(std::chrono::seconds(7));
  const std::string answer = Read("}}\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 504 "));
  EXPECT_THAT(answer, HasSubstr("within 7000 ms (limits.run_timeout)"));
  EXPECT_EQ(Counted("timeout"), 1);
  client_.reset();
  proxy_.reset();
  loop_.Settle();
}

TEST_F(ProxyTest, BodiesStreamBothWays) {
  constexpr size_t kBytes = 3 << 20;
  Server server(loop_.io, [](tcp::socket& socket, std::string& received) -> asio::awaitable<void> {
    std::string rest(kBytes - received.size(), '\0');
    co_await asio::async_read(socket, asio::buffer(rest), kNoThrow);
    std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(kBytes) + "\r\n\r\n";
    answer += received + rest;
    co_await asio::async_write(socket, asio::buffer(answer), kNoThrow);
  });
  std::string body(kBytes, 'x');
  for (size_t i = 0; i < body.size(); ++i) body[i] = static_cast<char>('a' + i * 7 % 26);
  body.back() = '!';
  Client();
  const std::string request = "POST http://" + server.address() + "/ HTTP/1.1\r\nHost: x\r\n" +
                              "Content-Length: " + std::to_string(kBytes) + "\r\n\r\n" + body;
  auto writing = loop_.Start(client_->Write(request));
  const std::string answer = Read("!");
  EXPECT_TRUE(writing.done());
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_TRUE(answer.ends_with(body));
  // And the connection goes on.
  EXPECT_THAT(Ask(Get("no.example.org")), StartsWith("HTTP/1.1 403 "));
}

TEST_F(ProxyTest, ChunksGoUpAndAnAnswerUntilCloseComesBackInChunks) {
  Server server(loop_.io, [](tcp::socket& socket, std::string& received) -> asio::awaitable<void> {
    char bytes[4096];
    while (!received.ends_with("0\r\n\r\n")) {
      const auto [error, size] = co_await socket.async_read_some(asio::buffer(bytes), kNoThrow);
      if (error) co_return;
      received.append(bytes, size);
    }
    const std::string answer = "HTTP/1.0 200 OK\r\n\r\n" + received;
    co_await asio::async_write(socket, asio::buffer(answer), kNoThrow);
  });
  const std::string answer =
      Ask("PUT http://" + server.address() +
              "/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"
              "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
          "\r\n0\r\n\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, HasSubstr("Transfer-Encoding: chunked\r\n"));
  EXPECT_THAT(answer, HasSubstr("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"));
}

TEST_F(ProxyTest, HeadHasALengthAndNoBody) {
  Server server(loop_.io, Always("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"));
  const std::string answer =
      Ask("HEAD http://" + server.address() + "/ HTTP/1.1\r\nHost: x\r\n\r\n", "\r\n\r\n");
  EXPECT_THAT(answer, HasSubstr("Content-Length: 500\r\n"));
}

TEST_F(ProxyTest, AnAnswerThatBreaksOffEndsTheConnection) {
  Server server(loop_.io, Always("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nabc"));
  Client();
  Write(Get(server.address()));
  EXPECT_THAT(Read(), EndsWith("abc"));
  EXPECT_EQ(Counted("cut"), 1);
}

TEST_F(ProxyTest, AFunctionThatLeavesEndsItsRequest) {
  bool gone = false;
  Server server(loop_.io, [&gone](tcp::socket& socket, std::string&) -> asio::awaitable<void> {
    char byte = 0;
    co_await socket.async_read_some(asio::buffer(&byte, 1), kNoThrow);
    gone = true;
  });
  Client();
  Write(Get(server.address()));
  loop_.RunUntil([&server] { return !server.heads.empty(); });
  EXPECT_FALSE(gone);
  client_.reset();
  loop_.RunUntil([&gone] { return gone; });
}

TEST_F(ProxyTest, ATunnelCarriesBytesBothWaysUntilBothEndsAreDone) {
  Server server(loop_.io, [](tcp::socket& socket, std::string& received) -> asio::awaitable<void> {
    char bytes[64];
    while (true) {
      const auto [error, size] = co_await socket.async_read_some(asio::buffer(bytes), kNoThrow);
      if (error) break;
      received.append(bytes, size);
    }
    const std::string answer = "got " + received;
    co_await asio::async_write(socket, asio::buffer(answer), kNoThrow);
  });
  EXPECT_THAT(Ask("CONNECT " + server.address() + " HTTP/1.1\r\nHost: x\r\n\r\n", "\r\n\r\n"),
              StartsWith("HTTP/1.1 200 "));
  Write("GET / not http at all\r\n\r\n");
  Write("more");
  client_->ShutdownWrite();
  EXPECT_EQ(Read(), "got more");
  EXPECT_THAT(server.heads.at(0), StartsWith("GET / not http at all"));
}

TEST_F(ProxyTest, ATunnelIsAllowedByTheSameList) {
  EXPECT_THAT(Ask("CONNECT other.example.org:443 HTTP/1.1\r\nHost: x\r\n\r\n"),
              StartsWith("HTTP/1.1 403 "));
}

TEST_F(ProxyTest, ASilentTunnelEndsAfterRunTimeout) {
  ManualClock clock;
  options_.clock = &clock;
  manifest_.limits.run_timeout = std::chrono::seconds(7);
  Server server(loop_.io, Always(""));
  EXPECT_THAT(Ask("CONNECT " + server.address() + " HTTP/1.1\r\nHost: x\r\n\r\n", "\r\n\r\n"),
              StartsWith("HTTP/1.1 200 "));
  clock.Advance(std::chrono::seconds(8));
  EXPECT_EQ(Read(), "");
  client_.reset();
  proxy_.reset();
  loop_.Settle();
}

TEST_F(ProxyTest, ALargeHeadIs431AndABadOne400) {
  options_.max_head_bytes = 1000;
  EXPECT_THAT(Ask("GET http://a.b/ HTTP/1.1\r\nX: " + std::string(2000, 'x') + "\r\n\r\n"),
              StartsWith("HTTP/1.1 431 "));
  Client();
  EXPECT_THAT(Ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
  Client();
  EXPECT_THAT(Ask("nonsense\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
  EXPECT_EQ(Counted("bad_request"), 3);
}

TEST_F(ProxyTest, AListenerServesUntilItsServiceIsDestroyed) {
  Server server(loop_.io, Always("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
  tcp::acceptor own(loop_.io, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
  const tcp::endpoint endpoint = own.local_endpoint();
  proxy_.emplace(loop_.executor(), options_, metrics_);
  auto deployed = std::make_shared<Deployed>();
  deployed->manifest = manifest_;
  std::unique_ptr<NetworkService> service = proxy_->Serve(UniqueFd(own.release()), deployed);
  tcp::socket socket(loop_.io);
  socket.connect(endpoint);
  socket.non_blocking(true);
  client_.emplace(loop_.executor(), UniqueFd(socket.release()));
  EXPECT_THAT(Ask(Get(server.address()), "ok"), StartsWith("HTTP/1.1 200 OK"));
  service.reset();
  EXPECT_EQ(Read(), "");
  loop_.Settle();
  boost::system::error_code refused;
  tcp::socket(loop_.io).connect(endpoint, refused);
  EXPECT_TRUE(refused);
}

}  // namespace
}  // namespace hybridserve
