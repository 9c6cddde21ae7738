#include "gateway/response_head.h"

#include <gtest/gtest.h>

namespace hybridserve {
namespace {

std::string Write(const ResponseHead& head, const Framing& framing) {
  std::string out;
  AppendResponseHead(out, head, framing);
  return out;
}

TEST(ResponseHead, HasEveryPartInItsPlace) {
  const std::optional<ServedBy> served_by =
      ServedBy{Backend::kContainer, StartKind::kCold, "route-header",
               Timing{Microseconds(1), Microseconds(12'034), Microseconds(3'000'000)}};
  Framing framing;
  framing.length = 12;
  framing.keep_alive = false;
  framing.date = "DATE";
  framing.request_id = "ID";
  framing.served_by = &served_by;
  EXPECT_EQ(Write({.status = 404, .headers = {{"A", "b"}}}, framing),
            "HTTP/1.1 404 Not Found\r\n"
            "A: b\r\n"
            "Date: DATE\r\n"
            "Server-Timing: queue;dur=0.001, start;dur=12.034, run;dur=3000.000\r\n"
            "HybridServe-Backend: container\r\n"
            "HybridServe-Start: cold\r\n"
            "HybridServe-Reason: route-header\r\n"
            "X-Request-Id: ID\r\n"
            "Content-Length: 12\r\n"
            "Connection: close\r\n"
            "\r\n");
}

TEST(ResponseHead, ADateOfTheFunctionsOwnStays) {
  Framing framing;
  framing.date = "OURS";
  EXPECT_EQ(Write({.headers = {{"date", "THEIRS"}}}, framing),
            "HTTP/1.1 200 OK\r\ndate: THEIRS\r\nContent-Length: 0\r\n\r\n");
}

TEST(ResponseHead, AnUnknownStatusHasAnEmptyPhrase) {
  EXPECT_EQ(Write({.status = 299}, {.end = BodyEnd::kChunked}),
            "HTTP/1.1 299 \r\nTransfer-Encoding: chunked\r\n\r\n");
}

TEST(ResponseHead, ANegativeTimeIsZero) {
  const std::optional<ServedBy> served_by =
      ServedBy{.reason = "r", .timing = {Microseconds(-5), {}, {}}};
  EXPECT_NE(Write({}, {.served_by = &served_by}).find("queue;dur=0.000"), std::string::npos);
}

TEST(ResponseHead, DatesAreThoseOfTheRfc) {
  EXPECT_EQ(HttpDate(784111777), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(HttpDate(0), "Thu, 01 Jan 1970 00:00:00 GMT");
}

TEST(ResponseHead, ChunkSizesAreHexadecimal) {
  std::string out;
  AppendChunkSize(out, 0);
  AppendChunkSize(out, 0x1f00);
  EXPECT_EQ(out, "0\r\n1f00\r\n");
}

}  // namespace
}  // namespace hybridserve
