// Routing, the protocol, and what may be said in it.
#include "gateway/gateway.h"

#include <gmock/gmock.h>

#include <vector>

#include "base/file.h"
#include "function/keys.h"
#include "gateway/gateway_fixture.h"

namespace hybridserve {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;
using testing::StartsWith;

const auto kUnchanged = [](Deployed&) {};

// Answers with what the function saw.
Result<FakeWasmAnswer> Describe(const WasmInvocation& invocation) {
  const RequestHead& head = *invocation.head;
  FakeWasmAnswer answer;
  answer.body = head.method + " " + head.path + " ?" + head.query + " at " + head.script_name +
                " host " + head.host + " from " + head.remote_address + "\n";
  for (const Header& header : head.headers) answer.body += header.name + "=" + header.value + "\n";
  return answer;
}

TEST_F(GatewayTest, AFunctionAnswersAndTheHeadersSayHow) {
  Deploy(kUnchanged);
  const auto answer = Call(Post("hi"));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(answer->body, "hi");
  EXPECT_THAT(answer->Get("Server-Timing"),
              MatchesRegex("queue;dur=[0-9]+\\.[0-9][0-9][0-9], start;dur=.*, run;dur=.*"));
  EXPECT_EQ(answer->Get("HybridServe-Backend"), "wasm");
  EXPECT_EQ(answer->Get("HybridServe-Start"), "cold");
  EXPECT_EQ(answer->Get("HybridServe-Reason"), "no-warm-container");
  EXPECT_EQ(answer->Get("X-Request-Id").size(), 16u);
  EXPECT_THAT(answer->Get("Date"), HasSubstr("GMT"));
}

TEST_F(GatewayTest, AFunctionSeesItsPathWithoutTheRoute) {
  Deploy(kUnchanged);
  wasm_.SetHandler(Describe);
  const auto answer = Call(Get("/function/hello/a%20b/c?x=1&y=/"));
  ASSERT_TRUE(answer);
  EXPECT_THAT(answer->body, StartsWith("GET /a%20b/c ?x=1&y=/ at /function/hello host node from "
                                       "127.0.0.1\n"));
}

TEST_F(GatewayTest, AFunctionWithKeysIsCalledWithOneOnly) {
  const TemporaryFolder folder;
  const std::filesystem::path file = folder.path() / "keys";
  const std::string key = MakeKey();
  ASSERT_TRUE(WriteFileAtomically(file, KeyLine("edge", key)));
  Deploy([&file](Deployed& function) {
    function.keys = KeyFile::Open(file).value();
    function.manifest.hosts = {"keyed.example"};
  });
  wasm_.SetHandler(Describe);
  const std::string good = "Authorization: Bearer " + key + "\r\n";
  for (const std::string& headers : {std::string(), "Authorization: Bearer " + MakeKey() + "\r\n",
                                     "Authorization: " + key + "\r\n", good + good}) {
    const auto refused = Call(Get("/function/hello", headers));
    ASSERT_TRUE(refused);
    EXPECT_EQ(refused->status, 401);
    EXPECT_EQ(refused->Get("WWW-Authenticate"), "Bearer");
    EXPECT_THAT(refused->body, AllOf(HasSubstr("unauthorized"), Not(HasSubstr(key))));
  }
  EXPECT_EQ(Call("GET / HTTP/1.1\r\nHost: keyed.example\r\n\r\n")->status, 401);
  EXPECT_EQ(wasm_.invocations(), 0u);
  const auto answer = Call(Get("/function/hello", good + "X-Other: stays\r\n"));
  EXPECT_EQ(answer->status, 200);
  EXPECT_THAT(answer->body, AllOf(HasSubstr("stays"), Not(HasSubstr(key))));
  EXPECT_EQ(Call(Get("/healthz"))->status, 200);
}

TEST_F(GatewayTest, ABodyThatComesWithoutAKeyIsNotRead) {
  Deploy([](Deployed& function) {
    const TemporaryFolder folder;
    ASSERT_TRUE(WriteFileAtomically(folder.path() / "keys", ""));
    function.keys = KeyFile::Open(folder.path() / "keys").value();
  });
  Client client = Connect();
  EXPECT_EQ(client.Exchange(Post("whole"))->status, 401);
  EXPECT_EQ(client.Exchange(Get("/healthz"))->status, 200) << "the connection goes on";
  client.Send("POST /function/hello HTTP/1.1\r\nHost: a\r\nContent-Length: 900\r\n\r\npart");
  EXPECT_EQ(client.Read()->status, 401);
  EXPECT_TRUE(client.IsClosed());
  EXPECT_EQ(wasm_.invocations(), 0u);
}

TEST_F(GatewayTest, TheBareRouteIsTheFunctionsRoot) {
  Deploy(kUnchanged);
  wasm_.SetHandler(Describe);
  EXPECT_THAT(Call(Get("/function/hello"))->body, StartsWith("GET / ? at /function/hello"));
  EXPECT_THAT(Call(Get("/function/hello?q"))->body, StartsWith("GET / ?q at /function/hello"));
}

TEST_F(GatewayTest, AHostOfAManifestIsARouteOfItsOwn) {
  Deploy([](Deployed& f) { f.manifest.hosts = {"hello.example"}; });
  wasm_.SetHandler(Describe);
  EXPECT_THAT(Call("GET /healthz?a HTTP/1.1\r\nHost: HELLO.example:8080\r\n\r\n")->body,
              StartsWith("GET /healthz ?a at  host HELLO.example:8080"));
  EXPECT_THAT(Call("GET http://hello.example HTTP/1.1\r\nHost: other\r\n\r\n")->body,
              StartsWith("GET / ? at  host hello.example"));
  EXPECT_EQ(Call(Get("/x"))->status, 404);
}

TEST_F(GatewayTest, HeadersOfTheConnectionDoNotReachTheFunction) {
  Deploy(kUnchanged);
  wasm_.SetHandler(Describe);
  const auto answer = Call(Get("/function/hello",
                               "Connection: keep-alive, X-Private\r\nX-Private: 1\r\nTE: "
                               "trailers\r\nUpgrade: h2c\r\nX-Public: 2\r\nx-public: 3\r\n"));
  ASSERT_TRUE(answer);
  EXPECT_THAT(answer->body, HasSubstr("X-Public=2\nx-public=3\n"));
  EXPECT_THAT(answer->body, HasSubstr("Host=node"));
  for (const char* gone : {"Private", "Connection", "TE=", "Upgrade"}) {
    EXPECT_THAT(answer->body, Not(HasSubstr(gone)));
  }
}

TEST_F(GatewayTest, ASaneRequestIdIsKeptAndAnyOtherReplaced) {
  Deploy(kUnchanged);
  wasm_.SetHandler(Describe);
  auto answer = Call(Get("/function/hello", "X-Request-Id: abc-1.2_3\r\n"));
  EXPECT_EQ(answer->Get("X-Request-Id"), "abc-1.2_3");
  for (const auto& bad : std::vector<std::string>{"a b", "\"", std::string(129, 'a'), ""}) {
    answer = Call(Get("/function/hello", "X-Request-Id: " + bad + "\r\n"));
    EXPECT_THAT(answer->Get("X-Request-Id"), MatchesRegex("[0-9a-f]+")) << bad;
    EXPECT_EQ(answer->Get("X-Request-Id").size(), 16u) << bad;
    EXPECT_THAT(answer->body, Not(HasSubstr("X-Request-Id")));
  }
}

TEST_F(GatewayTest, AnUnknownFunctionIs404AndABadNameIs400) {
  auto answer = Call(Get("/function/nope"));
  EXPECT_EQ(answer->status, 404);
  EXPECT_THAT(answer->body, HasSubstr("\"code\":\"not_found\""));
  EXPECT_THAT(answer->body, HasSubstr("'nope'"));
  EXPECT_EQ(Call(Get("/function/" + std::string(300, 'a')))->status, 400);
  EXPECT_EQ(Call(Get("/function/"))->status, 400);
  EXPECT_EQ(Call(Get("/function/..%2f"))->status, 400);
  EXPECT_EQ(Call(Get("/elsewhere"))->status, 404);
}

TEST_F(GatewayTest, AFunctionOutOfServiceIs503WithTheCause) {
  out_of_service_ = "secret TOKEN cannot be read";
  const auto answer = Call(Get("/function/hello"));
  EXPECT_EQ(answer->status, 503);
  EXPECT_NE(answer->Get("Retry-After"), "(none)");
  EXPECT_THAT(answer->body, HasSubstr("'hello' is out of service: secret TOKEN"));
}

TEST_F(GatewayTest, HealthAndMetricsAreServed) {
  EXPECT_EQ(Call(Get("/healthz"))->body, "ok\n");
  EXPECT_THAT(Call(Get("/metrics"))->body, HasSubstr("hybridserve_connections 1"));
  EXPECT_EQ(Call("POST /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")->status, 405);
  config_.metrics = NodeConfig::MetricsAccess::kOff;
  Restart();
  EXPECT_EQ(Call(Get("/metrics"))->status, 404);
}

TEST_F(GatewayTest, AConnectionServesRequestAfterRequest) {
  Deploy(kUnchanged);
  Client client = Connect();
  for (const std::string body : {"one", "", "three"}) {
    const auto answer = client.Exchange(Post(body));
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->body, body);
    EXPECT_EQ(answer->Get("Connection"), "(none)");
  }
  EXPECT_EQ(client.Exchange(Get("/function/hello", "Connection: close\r\n"))->Get("Connection"),
            "close");
  EXPECT_TRUE(client.IsClosed());
}

TEST_F(GatewayTest, Http10ClosesUnlessAskedNotTo) {
  Deploy(kUnchanged);
  Client closes = Connect();
  EXPECT_EQ(closes.Exchange("GET /function/hello HTTP/1.0\r\n\r\n")->status, 200);
  EXPECT_TRUE(closes.IsClosed());
  Client stays = Connect();
  const std::string request = "GET /function/hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
  EXPECT_EQ(stays.Exchange(request)->Get("Connection"), "keep-alive");
  EXPECT_EQ(stays.Exchange(request)->status, 200);
}

TEST_F(GatewayTest, PipelinedRequestsAreAnsweredInOrder) {
  Deploy(kUnchanged);
  Client client = Connect();
  client.Send(Post("1") + "\r\n" + Post("22") +
              "POST /function/hello HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
              "2\r\n33\r\n1;x=y\r\n3\r\n0\r\nTrailer: t\r\n\r\n" +
              Get("/function/nope") + Post("4444"));
  EXPECT_EQ(client.Read()->body, "1");
  EXPECT_EQ(client.Read()->body, "22");
  EXPECT_EQ(client.Read()->body, "333");
  EXPECT_EQ(client.Read()->status, 404);
  EXPECT_EQ(client.Read()->body, "4444");
}

TEST_F(GatewayTest, PipelinedRequestsWaitForTheGuestBeforeThem) {
  Deploy(kUnchanged);
  wasm_.Hold();
  Client client = Connect();
  client.Send(Post("1") + Post("2"));
  PumpUntil([this] { return wasm_.running() == 1; });
  Advance(std::chrono::seconds(1));  // The client is looked after; its second request is no EOF.
  for (int i = 0; i < 20; ++i) loop_.run_one_for(std::chrono::milliseconds(1));
  EXPECT_EQ(wasm_.running(), 1u);
  wasm_.ReleaseAll();
  EXPECT_EQ(client.Read()->body, "1");
  EXPECT_EQ(client.Read()->body, "2");
  EXPECT_EQ(wasm_.peak_running(), 1u);
}

TEST_F(GatewayTest, ARequestMayArriveByteByByte) {
  Deploy(kUnchanged);
  Client client = Connect();
  const std::string request =
      "POST /function/hello HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3\r\nabc\r\n0\r\n\r\n";
  for (const char& byte : request) {
    client.Send({&byte, 1});
    loop_.restart();
    loop_.poll();
  }
  EXPECT_EQ(client.Read()->body, "abc");
}

TEST_F(GatewayTest, HeadHasTheLengthButNoBody) {
  Deploy(kUnchanged);
  wasm_.SetHandler([](const WasmInvocation&) -> Result<FakeWasmAnswer> {
    return FakeWasmAnswer{{}, "12345"};
  });
  Client client = Connect();
  const auto answer = client.Exchange("HEAD /function/hello HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(answer->Get("Content-Length"), "5");
  EXPECT_EQ(client.Exchange(Get("/function/hello"))->body, "12345");
}

TEST_F(GatewayTest, AStatusWithoutABodyHasNone) {
  Deploy(kUnchanged);
  wasm_.SetHandler([](const WasmInvocation&) -> Result<FakeWasmAnswer> {
    return FakeWasmAnswer{{.status = 204}, "ignored"};
  });
  Client client = Connect();
  EXPECT_EQ(client.Exchange(Get("/function/hello"))->Get("Content-Length"), "(none)");
  EXPECT_EQ(client.Exchange(Get("/function/hello"))->status, 204);
}

TEST_F(GatewayTest, AGuestCannotBreakTheHeadNorSpeakForTheNode) {
  Deploy(kUnchanged);
  wasm_.SetHandler([](const WasmInvocation&) -> Result<FakeWasmAnswer> {
    FakeWasmAnswer answer;
    answer.head.headers = {{"X-Good", "1"},
                           {"X-Split", "a\r\nX-Injected: 1"},
                           {"X Bad", "1"},
                           {"", "1"},
                           {"HybridServe-Backend", "container"},
                           {"X-Request-Id", "forged"},
                           {"Content-Length", "0"},
                           {"Transfer-Encoding", "chunked"},
                           {"Connection", "close"}};
    answer.body = "body";
    return answer;
  });
  Client client = Connect();
  const auto answer = client.Exchange(Get("/function/hello"));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->body, "body");
  EXPECT_EQ(answer->Get("X-Good"), "1");
  EXPECT_EQ(answer->Get("HybridServe-Backend"), "wasm");
  for (const char* gone : {"X-Injected", "X Bad", "forged", "chunked", "Connection"}) {
    EXPECT_THAT(answer->head, Not(HasSubstr(gone)));
  }
  EXPECT_EQ(client.Exchange(Get("/healthz"))->status, 200);
}

TEST_F(GatewayTest, ExpectIsAnsweredWhenTheBodyIsWanted) {
  Deploy(kUnchanged);
  Client client = Connect();
  client.Send(
      "POST /function/hello HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n"
      "Expect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.Read()->status, 100);
  client.Send("hi");
  EXPECT_EQ(client.Read()->body, "hi");
}

TEST_F(GatewayTest, ExpectIsNotAnsweredWhenTheBodyIsRefused) {
  Deploy([](Deployed& f) { f.manifest.limits.body_bytes = 1; });
  Client client = Connect();
  const auto answer = client.Exchange(
      "POST /function/hello HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n"
      "Expect: 100-continue\r\n\r\n");
  EXPECT_EQ(answer->status, 413);
  EXPECT_EQ(answer->Get("Connection"), "close");
}

TEST_F(GatewayTest, ARefusedBodyThatIsHereAlreadyDoesNotCostTheConnection) {
  Deploy([](Deployed& f) { f.manifest.limits.body_bytes = 1; });
  Client client = Connect();
  EXPECT_EQ(client.Exchange(Post("too long"))->status, 413);
  EXPECT_EQ(client.Exchange(Post("1"))->body, "1");
}

TEST_F(GatewayTest, APortInUseIsAnErrorThatSaysSo) {
  Gateway second(loop_.get_executor(), {}, router_, metrics_);
  const Result<> listening = second.Listen({"127.0.0.1", gateway_->port()});
  ASSERT_FALSE(listening);
  EXPECT_EQ(listening.error().code, Code::kConflict);
  EXPECT_THAT(listening.error().message, HasSubstr(std::to_string(gateway_->port())));
  EXPECT_EQ(second.Listen({"no address", 0}).error().code, Code::kInvalidArgument);
}

struct Malformed {
  std::string name;
  std::string request;
  int want;
};

class MalformedTest : public GatewayTest, public testing::WithParamInterface<Malformed> {};

TEST_P(MalformedTest, IsRefusedAndTheConnectionEnds) {
  Deploy(kUnchanged);
  Client client = Connect();
  // What follows must not be taken for a request: it is how a smuggled one would look.
  client.Send(GetParam().request + Get("/healthz"));
  const auto answer = client.Read();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, GetParam().want) << answer->body;
  EXPECT_EQ(answer->Get("Connection"), "close");
  EXPECT_THAT(answer->body, StartsWith("{\"error\":{\"code\":\""));
  EXPECT_TRUE(client.IsClosed());
  EXPECT_EQ(wasm_.invocations(), 0u);
}

const std::string kPost = "POST /function/hello HTTP/1.1\r\nHost: a\r\n";
const std::string kChunked = kPost + "Transfer-Encoding: chunked\r\n\r\n";

INSTANTIATE_TEST_SUITE_P(
    Gateway, MalformedTest,
    testing::Values(
        Malformed{"NoHttp", "hello\r\n\r\n", 400},
        Malformed{"TlsHello", std::string("\x16\x03\x01\x02\r\n\r\n", 8), 400},
        Malformed{"Http2Preface", "PRI * HTTP/2.0\r\n\r\n", 505},
        Malformed{"Http12", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505},
        Malformed{"NoVersion", "GET /function/hello\r\n\r\n", 400},
        Malformed{"SpaceInTarget", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        Malformed{"NoHost", "GET /function/hello HTTP/1.1\r\n\r\n", 400},
        Malformed{"TwoHosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
        Malformed{"FoldedHeader", kPost + "X-A: 1\r\n 2\r\n\r\n", 400},
        Malformed{"FoldedFirstHeader", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400},
        Malformed{"SpaceBeforeColon", kPost + "X-A : 1\r\n\r\n", 400},
        Malformed{"EmptyName", kPost + ": 1\r\n\r\n", 400},
        Malformed{"NulInValue", kPost + std::string("X-A: a\0b\r\n\r\n", 12), 400},
        Malformed{"BareLineFeed", kPost + "X-A: 1\nX-B: 2\r\n\r\n", 400},
        Malformed{"BareCarriageReturn", kPost + "X-A: 1\rX-B: 2\r\n\r\n", 400},
        Malformed{"LengthAndChunked",
                  kPost + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
        Malformed{"ChunkedAndLength",
                  kPost + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", 400},
        Malformed{"TwoLengths", kPost + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400},
        Malformed{"LengthList", kPost + "Content-Length: 1, 2\r\n\r\n", 400},
        Malformed{"NegativeLength", kPost + "Content-Length: -1\r\n\r\n", 400},
        Malformed{"SignedLength", kPost + "Content-Length: +1\r\n\r\n", 400},
        Malformed{"HexLength", kPost + "Content-Length: 0x1\r\n\r\n", 400},
        Malformed{"HugeLength", kPost + "Content-Length: 99999999999999999999\r\n\r\n", 400},
        Malformed{"EmptyLength", kPost + "Content-Length:\r\n\r\n", 400},
        Malformed{"OtherEncoding", kPost + "Transfer-Encoding: gzip\r\n\r\n", 501},
        Malformed{"EncodingBeforeChunked", kPost + "Transfer-Encoding: gzip, chunked\r\n\r\n", 501},
        Malformed{"ChunkedTwice",
                  kPost + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
        Malformed{"ObscuredChunked", kPost + "Transfer-Encoding: xchunked\r\n\r\n", 501},
        Malformed{"ChunkedInHttp10",
                  "POST /function/hello HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                  400},
        Malformed{"UnknownExpect", kPost + "Expect: 200-ok\r\n\r\n", 417},
        Malformed{"BadChunkSize", kChunked + "xyz\r\n\r\n", 400},
        Malformed{"NegativeChunkSize", kChunked + "-1\r\n\r\n", 400},
        Malformed{"HugeChunkSize", kChunked + "fffffffffffffffff\r\n", 400},
        Malformed{"ChunkWithoutCrlf", kChunked + "1\r\nab\r\n0\r\n\r\n", 400},
        Malformed{"LengthInTrailer", kChunked + "0\r\nContent-Length: 3\r\n\r\n", 400},
        Malformed{"EndlessChunkHead", kChunked + "1;" + std::string(40000, 'x'), 400}),
    [](const auto& row) { return row.param.name; });

}  // namespace
}  // namespace hybridserve
