#include "hybridserve/fetch.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <thread>

#include "fetch_message.h"

namespace hs {
namespace {

using internal::EncodeRequest;
using internal::ResponseReader;
using testing::HasSubstr;

FetchResult Read(std::string_view bytes, size_t piece, size_t max_body_bytes = 1000,
                 bool head_only = false) {
  ResponseReader reader(head_only, max_body_bytes);
  bool more = true;
  for (size_t i = 0; i < bytes.size() && more; i += piece) more = reader.Feed(bytes.substr(i, piece));
  reader.End();
  FetchResult failed;
  failed.error = reader.error();
  return reader.done() ? reader.Take() : failed;
}

TEST(FetchTest, AResponseComesToTheSameInPiecesOfAnySize) {
  for (std::string_view bytes :
       {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\nX-A: b\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\nX-A: b\r\n\r\n2\r\nhe\r\n3;x\r\nllo\r\n0\r\n\r\n",
        "HTTP/1.0 404\r\nx-a:  b \r\n\r\nhello"}) {
    for (size_t piece : {1u, 2u, 7u, 1000u}) {
      FetchResult result = Read(bytes, piece);
      EXPECT_EQ(result.error, "") << bytes;
      EXPECT_EQ(result.status, 404);
      EXPECT_EQ(result.body, "hello");
      EXPECT_EQ(result.HeaderValue("X-a"), "b");
    }
  }
}

TEST(FetchTest, AHeadRequestsAnswerHasNoBody) {
  FetchResult result = Read("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n", 1, 10, true);
  EXPECT_EQ(result.error, "");
  EXPECT_EQ(result.status, 200);
}

TEST(FetchTest, ALargeAnswerIsAnErrorHoweverItIsFramed) {
  std::string body(20, 'x');
  for (const std::string& bytes :
       {"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n" + body,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n14\r\n" + body + "\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n" + body}) {
    EXPECT_THAT(Read(bytes, 3, 19).error, HasSubstr("larger than max_body_bytes"));
    EXPECT_EQ(Read(bytes, 3, 20).body, body);
  }
}

TEST(FetchTest, WhatIsNoResponseIsAnError) {
  for (std::string_view bytes :
       {"SSH-2.0-x\r\n\r\n", "HTTP/2.0 200 OK\r\n\r\n", "HTTP/1.1 99 x\r\n\r\n", "HTTP/1.1 2000\r\n\r\n",
        "HTTP/1.1 101 Switching\r\n\r\n", "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", "HTTP/1.1 200 OK\r\n", ""}) {
    EXPECT_NE(Read(bytes, 1).error, "") << bytes;
  }
}

TEST(FetchTest, AConnectionIsUsedAgainOnlyWhenItsEndIsKnown) {
  const auto reusable = [](std::string_view bytes) {
    ResponseReader reader(false, 100);
    reader.Feed(bytes);
    return reader.reusable();
  };
  EXPECT_TRUE(reusable("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"));
  EXPECT_FALSE(reusable("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxy"));
  EXPECT_FALSE(reusable("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx"));
  EXPECT_FALSE(reusable("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx"));
  EXPECT_FALSE(reusable("HTTP/1.1 200 OK\r\n\r\nx"));
}

TEST(FetchTest, ARequestIsInAbsoluteForm) {
  std::string error;
  EXPECT_EQ(EncodeRequest({.url = "http://a.b:81/c?d#e", .headers = {{"X-A", "b"}, {"Host", "evil"}}},
                          true, error),
            "GET http://a.b:81/c?d HTTP/1.1\r\nHost: a.b:81\r\nX-A: b\r\n\r\n");
  EXPECT_EQ(EncodeRequest({.url = "http://a.b", .method = "POST", .body = "x"}, false, error),
            "POST http://a.b HTTP/1.1\r\nHost: a.b\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx");
  EXPECT_EQ(error, "");
}

TEST(FetchTest, WhatCannotBeSentIsAnErrorThatSaysWhy) {
  EXPECT_THAT(Fetch({.url = "https://a.b/"}).error, HasSubstr("no TLS"));
  EXPECT_THAT(Fetch({.url = "ftp://a.b/"}).error, HasSubstr("http://"));
  EXPECT_THAT(Fetch({.url = "http:///x"}).error, HasSubstr("no host"));
  EXPECT_THAT(Fetch({.url = "http://u@a.b/"}).error, HasSubstr("user information"));
  EXPECT_THAT(Fetch({.url = "http://a.b/\r\nX: y"}).error, HasSubstr("control character"));
  EXPECT_THAT(Fetch({.url = "http://a.b/", .method = "G T"}).error, HasSubstr("method"));
  EXPECT_THAT(Fetch({.url = "http://a.b/", .headers = {{"A", "b\nc"}}}).error, HasSubstr("header 'A'"));
}

// A proxy of one connection that answers with fixed bytes.
class FixedProxy {
 public:
  explicit FixedProxy(std::string answer) : answer_(std::move(answer)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listener_, 1), 0);
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    ::setenv("HTTP_PROXY", ("http://127.0.0.1:" + std::to_string(ntohs(address.sin_port))).c_str(), 1);
    thread_ = std::thread([this] { Serve(); });
  }
  ~FixedProxy() {
    thread_.join();
    ::close(listener_);
    ::unsetenv("HTTP_PROXY");
  }
  FixedProxy(const FixedProxy&) = delete;
  FixedProxy& operator=(const FixedProxy&) = delete;

 private:
  void Serve() {
    int client = ::accept(listener_, nullptr, nullptr);
    std::string request;
    char bytes[1024];
    while (request.find("\r\n\r\n") == std::string::npos) {
      ssize_t size = ::recv(client, bytes, sizeof bytes, 0);
      if (size <= 0) break;
      request.append(bytes, static_cast<size_t>(size));
    }
    (void)!::send(client, answer_.data(), answer_.size(), MSG_NOSIGNAL);
    ::close(client);
  }

  std::string answer_;
  int listener_ = -1;
  std::thread thread_;
};

TEST(FetchTest, TheNativeBuildAsksTheProxyOfItsEnvironment) {
  FixedProxy proxy("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
  FetchResult result = Fetch({.url = "http://a.example.com/"});
  EXPECT_EQ(result.error, "");
  EXPECT_EQ(result.body, "hello");
}

TEST(FetchTest, WhatTheNodesProxyRefusesIsAnError) {
  FixedProxy proxy(
      "HTTP/1.1 403 Forbidden\r\nProxy-Status: hybridserve; error=http_request_denied\r\n"
      "Content-Length: 2\r\n\r\nno");
  EXPECT_EQ(Fetch({.url = "http://a.example.com/"}).error, "status 403 of the node's proxy: no");
}

TEST(FetchTest, WithoutAProxyThereIsNoNetwork) {
  ::unsetenv("HTTP_PROXY");
  EXPECT_THAT(Fetch({.url = "http://a.example.com/"}).error, HasSubstr("[network] allow"));
  ::setenv("HTTP_PROXY", "socks://x", 1);
  EXPECT_THAT(Fetch({.url = "http://a.example.com/"}).error, HasSubstr("http://ADDRESS:PORT"));
  ::unsetenv("HTTP_PROXY");
}

}  // namespace
}  // namespace hs
