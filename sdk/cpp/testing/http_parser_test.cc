// What the native server's parser takes, and what it refuses with which status.
#include "native/http_parser.h"

#include <gtest/gtest.h>

namespace hs::internal {
namespace {

TEST(HttpParserTest, TakesAWholeHeadAndLeavesTheRest) {
  RequestHead head;
  std::string bytes =
      "POST /a/b?x=1 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nX-A:  v \r\n\r\nabc";
  ParsedHead parsed = ParseHead(bytes, head);
  EXPECT_EQ(parsed.status, 200);
  EXPECT_EQ(bytes.substr(parsed.length), "abc");
  EXPECT_EQ(head.request.method, "POST");
  EXPECT_EQ(head.request.path, "/a/b");
  EXPECT_EQ(head.request.query, "x=1");
  EXPECT_EQ(head.content_length, 3u);
  EXPECT_TRUE(head.keep_alive);
  EXPECT_EQ(head.request.headers, (std::vector<Header>{{"host", "h"}, {"x-a", "v"}}));
}

TEST(HttpParserTest, AsksForMoreUntilTheHeadIsWhole) {
  std::string bytes = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
  for (size_t size = 0; size < bytes.size(); ++size) {
    RequestHead head;
    EXPECT_EQ(ParseHead(bytes.substr(0, size), head).status, 0) << size;
  }
}

struct HeadCase {
  std::string name;
  std::string bytes;
  int want;
};

class HeadTest : public testing::TestWithParam<HeadCase> {};

TEST_P(HeadTest, HasItsStatus) {
  RequestHead head;
  EXPECT_EQ(ParseHead(GetParam().bytes, head).status, GetParam().want);
}

std::string WithHeaders(const std::string& lines) { return "GET / HTTP/1.1\r\n" + lines + "\r\n"; }

std::string ManyHeaders(size_t count) {
  std::string lines;
  for (size_t i = 0; i < count; ++i) lines += "x: y\r\n";
  return lines;
}

INSTANTIATE_TEST_SUITE_P(
    HttpParser, HeadTest,
    testing::Values(
        HeadCase{"Smallest", "GET / HTTP/1.1\r\n\r\n", 200},
        HeadCase{"EmptyLineBefore", "\r\nGET / HTTP/1.1\r\n\r\n", 200},
        HeadCase{"Http10", "GET / HTTP/1.0\r\n\r\n", 200},
        HeadCase{"AbsoluteTarget", "GET http://h/x HTTP/1.1\r\n\r\n", 200},
        HeadCase{"NoTarget", "GET HTTP/1.1\r\n\r\n", 400},
        HeadCase{"ControlInTarget", std::string("GET /\x01 HTTP/1.1\r\n\r\n"), 400},
        HeadCase{"SpaceInTarget", "GET /a b HTTP/1.1\r\n\r\n", 400},
        HeadCase{"MethodNoToken", "G(T / HTTP/1.1\r\n\r\n", 400},
        HeadCase{"Http2", "GET / HTTP/2.0\r\n\r\n", 505},
        HeadCase{"NotHttp", "GET / FTP/1.1\r\n\r\n", 400},
        HeadCase{"NoColon", WithHeaders("abc\r\n"), 400},
        HeadCase{"SpaceBeforeColon", WithHeaders("a : b\r\n"), 400},
        HeadCase{"FoldedLine", WithHeaders("a: b\r\n c\r\n"), 400},
        HeadCase{"BareCarriageReturn", WithHeaders("a: b\rc\r\n"), 400},
        HeadCase{"BareLineFeed", WithHeaders("a: b\nc: d\r\n"), 400},
        HeadCase{"NulInValue", WithHeaders(std::string("a: b\0c\r\n", 8)), 400},
        HeadCase{"EqualLengths", WithHeaders("Content-Length: 1\r\nContent-Length: 1\r\n"), 200},
        HeadCase{"UnequalLengths", WithHeaders("Content-Length: 1\r\nContent-Length: 2\r\n"), 400},
        HeadCase{"LengthAndCoding",
                 WithHeaders("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"), 400},
        HeadCase{"NegativeLength", WithHeaders("Content-Length: -1\r\n"), 400},
        HeadCase{"SignedLength", WithHeaders("Content-Length: +1\r\n"), 400},
        HeadCase{"HugeLength", WithHeaders("Content-Length: 99999999999999999999\r\n"), 400},
        HeadCase{"OtherCoding", WithHeaders("Transfer-Encoding: gzip, chunked\r\n"), 501},
        HeadCase{"OtherExpectation", WithHeaders("Expect: more\r\n"), 400},
        HeadCase{"MostHeaders", WithHeaders(ManyHeaders(kMostHeaders)), 200},
        HeadCase{"TooManyHeaders", WithHeaders(ManyHeaders(kMostHeaders + 1)), 431},
        HeadCase{"TooLong", WithHeaders("a: " + std::string(kLargestHead, 'x') + "\r\n"), 431},
        HeadCase{"TooLongAndNotEnded", "GET /" + std::string(kLargestHead, 'x'), 431}),
    [](const auto& tested) { return tested.param.name; });

TEST(HttpParserTest, ClosesForHttp10AndForConnectionClose) {
  RequestHead head;
  ASSERT_EQ(ParseHead("GET / HTTP/1.0\r\n\r\n", head).status, 200);
  EXPECT_FALSE(head.keep_alive);
  ASSERT_EQ(ParseHead(WithHeaders("Connection: x, Close\r\n"), head).status, 200);
  EXPECT_FALSE(head.keep_alive);
}

TEST(ChunkedDecoderTest, TakesABodyApartInPiecesOfAnySize) {
  const std::string bytes =
      "4\r\nWiki\r\n5;ext=1\r\npedia\r\nA\r\n0123456789\r\n0\r\nT: x\r\n\r\nGET";
  for (size_t piece = 1; piece <= bytes.size(); ++piece) {
    ChunkedDecoder decoder;
    std::string body;
    size_t used = 0;
    while (!decoder.done() && !decoder.failed() && used < bytes.size()) {
      used += decoder.Feed(std::string_view(bytes).substr(used, piece), body);
    }
    ASSERT_TRUE(decoder.done()) << piece;
    EXPECT_EQ(body, "Wikipedia0123456789");
    EXPECT_EQ(bytes.substr(used), "GET");
  }
}

TEST(ChunkedDecoderTest, RefusesWhatIsNoChunk) {
  for (std::string bytes : {"x\r\n", "\r\n", "-1\r\n", "5\nhello", "3\r\nabcd\r\n",
                            "11111111111111111\r\n", "0x5\r\n"}) {
    ChunkedDecoder decoder;
    std::string body;
    decoder.Feed(bytes, body);
    EXPECT_TRUE(decoder.failed()) << bytes;
  }
  ChunkedDecoder decoder;
  std::string body;
  decoder.Feed(std::string(2000, '1'), body);
  EXPECT_TRUE(decoder.failed()) << "an endless size line";
}

}  // namespace
}  // namespace hs::internal
