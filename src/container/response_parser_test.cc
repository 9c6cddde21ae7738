#include "container/response_parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace hybridserve {
namespace {

using Framing = ResponseParser::Framing;
using Method = ResponseParser::Method;
using ::testing::HasSubstr;

struct Parsed {
  ResponseHead head;
  Framing framing{};
  std::string body;
  bool done = false;
  bool keep_alive = false;
  size_t consumed = 0;
};

// Parses `bytes` as they would come in pieces of `step`.
Result<Parsed> Parse(std::string_view bytes, Method method = Method::kOther,
                     size_t step = 1 << 20) {
  ResponseParser parser(method);
  std::string buffer;
  size_t given = 0;
  Parsed parsed;
  bool head_done = false;
  while (!head_done) {
    if (given == bytes.size()) return Fail(Code::kUnavailable, "needs more");
    const std::string_view more = bytes.substr(given, step);
    buffer.append(more);
    given += more.size();
    TRY_ASSIGN(const ResponseParser::HeadStep head, parser.ParseHead(buffer));
    parsed.consumed += head.consumed;
    buffer.erase(0, head.consumed);
    head_done = head.done;
  }
  for (;;) {
    while (!buffer.empty() && !parser.done()) {
      TRY_ASSIGN(const ResponseParser::Piece piece, parser.Next(buffer));
      parsed.body.append(piece.data);
      parsed.consumed += piece.consumed;
      buffer.erase(0, piece.consumed);
    }
    if (parser.done() || given == bytes.size()) break;
    buffer.append(bytes.substr(given, step));
    given += std::min(step, bytes.size() - given);
  }
  parsed.framing = parser.framing();
  parsed.done = parser.done();
  parsed.keep_alive = parser.keep_alive();
  parsed.head = std::move(parser.head());
  return parsed;
}

struct GoodCase {
  std::string name;
  std::string bytes;
  int status;
  Framing framing;
  std::string body;
  bool keep_alive;
  Method method = Method::kOther;
};

class GoodResponse : public testing::TestWithParam<GoodCase> {};

TEST_P(GoodResponse, IsReadWholeAndByteByByte) {
  const GoodCase& want = GetParam();
  for (const size_t step : {size_t{1} << 20, size_t{1}, size_t{3}}) {
    const Result<Parsed> got = Parse(want.bytes, want.method, step);
    ASSERT_TRUE(got) << got.error().message;
    EXPECT_EQ(got->head.status, want.status);
    EXPECT_EQ(got->framing, want.framing);
    EXPECT_EQ(got->body, want.body);
    EXPECT_EQ(got->keep_alive, want.keep_alive);
    EXPECT_EQ(got->done, want.framing != Framing::kUntilClose);
    EXPECT_EQ(got->consumed, want.bytes.size());
  }
}

INSTANTIATE_TEST_SUITE_P(
    Parser, GoodResponse,
    testing::Values(
        GoodCase{"Length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200,
                 Framing::kLength, "hello", true},
        GoodCase{"ZeroLength", "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n", 201,
                 Framing::kLength, "", true},
        GoodCase{"NoReason", "HTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx", 200, Framing::kLength,
                 "x", true},
        GoodCase{"BareLineFeeds", "HTTP/1.1 200 OK\nContent-Length: 2\n\nhi", 200, Framing::kLength,
                 "hi", true},
        GoodCase{"SameLengthTwice",
                 "HTTP/1.1 200 OK\r\nContent-Length: 2\r\ncontent-length: 2\r\n\r\nhi", 200,
                 Framing::kLength, "hi", true},
        GoodCase{"Chunked",
                 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;ext=1\r\n!"
                 "\r\n0\r\n\r\n",
                 200, Framing::kChunked, "hello!", true},
        GoodCase{"ChunkedWithTrailers",
                 "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\nA\r\n0123456789\r\n0\r\n"
                 "X-Sum: 1\r\nX-More: 2\r\n\r\n",
                 200, Framing::kChunked, "0123456789", true},
        GoodCase{"ChunkedAndLengthClosesAfterwards",
                 "HTTP/1.1 200 OK\r\nContent-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n"
                 "x\r\n0\r\n\r\n",
                 200, Framing::kChunked, "x", false},
        GoodCase{"UntilClose", "HTTP/1.1 200 OK\r\n\r\nto the end", 200, Framing::kUntilClose,
                 "to the end", false},
        GoodCase{"Http10Closes", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", 200,
                 Framing::kLength, "x", false},
        GoodCase{"Http10KeepsAliveWhenItSaysSo",
                 "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\nx", 200,
                 Framing::kLength, "x", true},
        GoodCase{"ConnectionClose",
                 "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx", 200,
                 Framing::kLength, "x", false},
        GoodCase{"NoContent", "HTTP/1.1 204 No Content\r\n\r\n", 204, Framing::kNone, "", true},
        GoodCase{"NotModifiedWithLength", "HTTP/1.1 304 Not\r\nContent-Length: 10\r\n\r\n", 304,
                 Framing::kNone, "", true},
        GoodCase{"AnswerToHead", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", 200,
                 Framing::kNone, "", true, Method::kHead},
        GoodCase{"InterimAnswersAreSkipped",
                 "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: a\r\n\r\n"
                 "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
                 200, Framing::kLength, "x", true}),
    [](const auto& test) { return test.param.name; });

struct BadCase {
  std::string name;
  std::string bytes;
  std::string message;
};

class BadResponse : public testing::TestWithParam<BadCase> {};

TEST_P(BadResponse, IsRefusedWithItsReason) {
  for (const size_t step : {size_t{1} << 20, size_t{1}}) {
    const Result<Parsed> got = Parse(GetParam().bytes, Method::kOther, step);
    ASSERT_FALSE(got);
    EXPECT_EQ(got.error().code, Code::kFunctionFailed);
    EXPECT_THAT(got.error().message, HasSubstr(GetParam().message));
  }
}

const std::string kOk = "HTTP/1.1 200 OK\r\n";

INSTANTIATE_TEST_SUITE_P(
    Parser, BadResponse,
    testing::Values(
        BadCase{"Garbage", "SSH-2.0-OpenSSH_9.2\r\n", "does not begin with HTTP/"},
        BadCase{"Http2", "HTTP/2.0 200 OK\r\n\r\n", "status line"},
        BadCase{"StatusLetters", "HTTP/1.1 2x0 OK\r\n\r\n", "not a number"},
        BadCase{"StatusTooLarge", "HTTP/1.1 999 OK\r\n\r\n", "100..599"},
        BadCase{"StatusFourDigits", "HTTP/1.1 2000 OK\r\n\r\n", "100..599"},
        BadCase{"Switching", "HTTP/1.1 101 Switching\r\n\r\n", "switched protocols"},
        BadCase{"NoColon", kOk + "nonsense\r\n\r\n", "no colon"},
        BadCase{"EmptyName", kOk + ": x\r\n\r\n", "name"},
        BadCase{"SpaceInName", kOk + "a b: x\r\n\r\n", "name"},
        BadCase{"ControlInValue", kOk + "a: x\x01y\r\n\r\n", "control characters"},
        BadCase{"CarriageReturnInValue", kOk + "a: x\ry\r\n\r\n", "control characters"},
        BadCase{"NulInValue", kOk + std::string("a: x\0y\r\n\r\n", 10), "control characters"},
        BadCase{"Folded", kOk + "a: x\r\n y\r\n\r\n", "folded"},
        BadCase{"TwoLengths", kOk + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n", "different"},
        BadCase{"NegativeLength", kOk + "Content-Length: -1\r\n\r\n", "Content-Length"},
        BadCase{"LengthTooLong", kOk + "Content-Length: 9999999999999999999\r\n\r\n",
                "Content-Length"},
        BadCase{"LengthList", kOk + "Content-Length: 1, 1\r\n\r\n", "Content-Length"},
        BadCase{"Gzip", kOk + "Transfer-Encoding: gzip, chunked\r\n\r\n", "Transfer-Encoding"},
        BadCase{"ChunkedTwice",
                kOk + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
                "Transfer-Encoding"},
        BadCase{"Http10Chunked", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                "HTTP/1.0"},
        BadCase{"ChunkSizeNotHex", kOk + "Transfer-Encoding: chunked\r\n\r\nxyz\r\n", "chunk"},
        BadCase{"ChunkSizeNegative", kOk + "Transfer-Encoding: chunked\r\n\r\n-1\r\n", "chunk"},
        BadCase{"ChunkSizeOverflows",
                kOk + "Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n", "chunk"},
        BadCase{"ChunkTooLong", kOk + "Transfer-Encoding: chunked\r\n\r\n1\r\nxyz\r\n", "chunk"},
        BadCase{"ChunkLineTooLong",
                kOk + "Transfer-Encoding: chunked\r\n\r\n1;" + std::string(5000, 'a'), "chunk"},
        BadCase{"TrailersTooLong",
                [] {
                  std::string bytes = kOk + "Transfer-Encoding: chunked\r\n\r\n0\r\n";
                  for (int i = 0; i < 100; ++i) bytes += "a: " + std::string(1000, 'b') + "\r\n";
                  return bytes;
                }(),
                "chunk"},
        BadCase{"HeadTooLong", kOk + "a: " + std::string(70000, 'b'), "65536 bytes"},
        BadCase{"TooManyHeaders",
                [] {
                  std::string bytes = kOk;
                  for (int i = 0; i < 300; ++i) bytes += "a: b\r\n";
                  return bytes + "\r\n";
                }(),
                "256 headers"},
        BadCase{"TooManyInterim",
                [] {
                  std::string bytes;
                  for (int i = 0; i < 20; ++i) bytes += "HTTP/1.1 100 Continue\r\n\r\n";
                  return bytes;
                }(),
                "interim"}),
    [](const auto& test) { return test.param.name; });

TEST(ResponseParser, DropsHopByHopHeadersAndThoseThatConnectionNames) {
  const Result<Parsed> got = Parse(
      kOk +
      "A: 1\r\nConnection: X-Private , keep-alive\r\nx-private: 2\r\nKeep-Alive: timeout=5\r\n"
      "Upgrade: h2c\r\nB : 3\r\nContent-Length: 0\r\nProxy-Connection: x\r\n\r\n");
  ASSERT_TRUE(got);
  EXPECT_THAT(got->head.headers, testing::ElementsAre(Header{"A", "1"}, Header{"B", "3"}));
  EXPECT_TRUE(got->keep_alive);
}

TEST(ResponseParser, LeavesWhatFollowsTheResponse) {
  const std::string whole = kOk + "Content-Length: 2\r\n\r\nhi";
  const Result<Parsed> got = Parse(whole + "HTTP/1.1 200 OK\r\n");
  ASSERT_TRUE(got);
  EXPECT_TRUE(got->done);
  EXPECT_EQ(got->consumed, whole.size());
}

TEST(ResponseParser, AnnouncesTheLengthOfABodyThatHeadLeavesOut) {
  ResponseParser parser(Method::kHead);
  const auto step = parser.ParseHead(kOk + "Content-Length: 1234\r\n\r\n");
  ASSERT_TRUE(step && step->done);
  EXPECT_TRUE(parser.done());
  EXPECT_EQ(parser.content_length(), 1234);
}

}  // namespace
}  // namespace hybridserve
