#include "egress/message.h"

#include <gmock/gmock.h>

#include "gateway/request_parser.h"

namespace hybridserve {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string Rewritten(std::string_view bytes) {
  RequestParser parser;
  RequestHead head;
  EXPECT_TRUE(parser.ParseHead(bytes, head));
  const auto outbound = ParseOutbound(head.method, parser.target());
  EXPECT_TRUE(outbound) << outbound.error().error.message;
  std::string out;
  if (outbound) AppendOutboundHead(out, head, *outbound);
  return out;
}

TEST(EgressMessageTest, AnAbsoluteTargetBecomesAPathAndItsHostTheHost) {
  EXPECT_EQ(Rewritten("GET http://A.example.com:8080/x?y=1 HTTP/1.1\r\nHost: other\r\n\r\n"),
            "GET /x?y=1 HTTP/1.1\r\nHost: a.example.com:8080\r\nVia: 1.1 hybridserve\r\n"
            "Connection: close\r\n\r\n");
  EXPECT_THAT(Rewritten("GET http://a.b?q HTTP/1.1\r\nHost: a.b\r\n\r\n"),
              HasSubstr("GET /?q HTTP/1.1\r\nHost: a.b\r\n"));
}

TEST(EgressMessageTest, HopByHopHeadersStayBehind) {
  const std::string out = Rewritten(
      "GET http://a.b/ HTTP/1.1\r\nHost: a.b\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\n"
      "Proxy-Authorization: Basic eA==\r\nProxy-Connection: x\r\nTE: trailers\r\nAccept: */*\r\n"
      "Authorization: Bearer k\r\n\r\n");
  EXPECT_THAT(out, HasSubstr("Accept: */*\r\nAuthorization: Bearer k\r\n"));
  for (const char* gone : {"X-Hop", "Proxy-", "TE:"}) EXPECT_THAT(out, Not(HasSubstr(gone)));
}

TEST(EgressMessageTest, ABodyKeepsItsFraming) {
  EXPECT_THAT(Rewritten("POST http://a.b/ HTTP/1.1\r\nHost: a.b\r\nContent-Length: 3\r\n\r\n"),
              HasSubstr("Content-Length: 3\r\n"));
  EXPECT_THAT(
      Rewritten("POST http://a.b/ HTTP/1.1\r\nHost: a.b\r\nTransfer-Encoding: chunked\r\n\r\n"),
      HasSubstr("Transfer-Encoding: chunked\r\n"));
}

TEST(EgressMessageTest, ATunnelNamesHostAndPort) {
  const auto tunnel = ParseOutbound("CONNECT", "a.example.com:8443");
  ASSERT_TRUE(tunnel);
  EXPECT_TRUE(tunnel->tunnel);
  EXPECT_EQ(tunnel->destination, (Destination{"a.example.com", 8443}));
}

struct BadCase {
  std::string method;
  std::string target;
  int status;
  std::string sentence;
};

class BadOutboundTest : public testing::TestWithParam<BadCase> {};

TEST_P(BadOutboundTest, IsRefused) {
  const BadCase& one = GetParam();
  const auto outbound = ParseOutbound(one.method, one.target);
  ASSERT_FALSE(outbound) << one.target;
  EXPECT_EQ(outbound.error().status, one.status);
  EXPECT_EQ(outbound.error().result, EgressResult::kBadRequest);
  EXPECT_THAT(outbound.error().error.message, HasSubstr(one.sentence));
}

INSTANTIATE_TEST_SUITE_P(
    Targets, BadOutboundTest,
    testing::Values(BadCase{"GET", "/path", 400, "needs a whole URL"},
                    BadCase{"OPTIONS", "*", 400, "needs a whole URL"},
                    BadCase{"GET", "https://a.b/", 501, "CONNECT HOST:PORT"},
                    BadCase{"GET", "ftp://a.b/", 400, "neither a path nor an http URL"},
                    BadCase{"GET", "http://user@a.b/", 400, "names no host"},
                    BadCase{"GET", "http://a.b:0/", 400, "has no port"},
                    BadCase{"CONNECT", "/", 400, "names no host"},
                    BadCase{"CONNECT", "a.b:x", 400, "has no port"}));

TEST(EgressMessageTest, AFailureIsJsonWithAProxyStatus) {
  const EgressFailure failure{403, EgressResult::kForbidden, "http_request_denied",
                              {Code::kForbidden, "no"}};
  const std::string answer = FailureAnswer(failure, true, true);
  EXPECT_THAT(answer, testing::StartsWith("HTTP/1.1 403 Forbidden\r\n"));
  EXPECT_THAT(answer, HasSubstr("Proxy-Status: hybridserve; error=http_request_denied\r\n"));
  EXPECT_THAT(answer, HasSubstr("Connection: keep-alive\r\n"));
  EXPECT_THAT(answer, HasSubstr("\"code\":\"forbidden\""));
  EXPECT_THAT(FailureAnswer(failure, false, false), testing::EndsWith("\r\n\r\n"));
}

}  // namespace
}  // namespace hybridserve
