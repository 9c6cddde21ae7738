#include "container/request_head.h"

#include <gtest/gtest.h>

namespace hybridserve {
namespace {

RequestHead Get() {
  RequestHead head;
  head.method = "GET";
  head.path = "/a%20b";
  head.query = "x=1";
  head.host = "fn.test";
  head.script_name = "/function/f";
  head.remote_address = "192.0.2.1";
  head.request_id = "id-1";
  return head;
}

std::string Written(const RequestHead& head) {
  std::string out;
  AppendRequestHead(out, head);
  return out;
}

TEST(RequestHead, CarriesThePathBelowTheRootAndSaysWhatWasTakenOff) {
  EXPECT_EQ(Written(Get()),
            "GET /a%20b?x=1 HTTP/1.1\r\n"
            "Host: fn.test\r\n"
            "X-Forwarded-For: 192.0.2.1\r\n"
            "X-Forwarded-Proto: http\r\n"
            "X-Forwarded-Host: fn.test\r\n"
            "X-Forwarded-Prefix: /function/f\r\n"
            "X-Request-Id: id-1\r\n\r\n");
}

TEST(RequestHead, AddsToWhatProxiesBeforeUsSaid) {
  RequestHead head = Get();
  head.headers = {{"X-Forwarded-For", "203.0.113.9"},
                  {"x-forwarded-for", "198.51.100.4"},
                  {"X-Forwarded-Proto", "https"},
                  {"X-Forwarded-Host", "outer.test"}};
  EXPECT_EQ(Written(head),
            "GET /a%20b?x=1 HTTP/1.1\r\n"
            "Host: fn.test\r\n"
            "X-Forwarded-For: 203.0.113.9\r\n"
            "X-Forwarded-Proto: https\r\n"
            "X-Forwarded-Host: outer.test\r\n"
            "X-Forwarded-For: 198.51.100.4, 192.0.2.1\r\n"
            "X-Forwarded-Prefix: /function/f\r\n"
            "X-Request-Id: id-1\r\n\r\n");
}

TEST(RequestHead, DoesNotLetTheClientSpeakForTheNode) {
  RequestHead head = Get();
  head.script_name.clear();
  head.headers = {{"Host", "evil"},
                  {"Content-Length", "7"},
                  {"Transfer-Encoding", "x"},
                  {"Connection", "close"},
                  {"Expect", "100-continue"},
                  {"X-Request-Id", "evil"},
                  {"X-Forwarded-Prefix", "/evil"},
                  {"Accept", "*/*"}};
  const std::string written = Written(head);
  EXPECT_EQ(written.find("evil"), std::string::npos);
  EXPECT_EQ(written.find("Content-Length"), std::string::npos);
  EXPECT_EQ(written.find("Transfer-Encoding"), std::string::npos);
  EXPECT_EQ(written.find("Expect"), std::string::npos);
  EXPECT_EQ(written.find("Connection"), std::string::npos);
  EXPECT_NE(written.find("\r\nAccept: */*\r\n"), std::string::npos);
}

TEST(RequestHead, FramesTheBodyByWhatIsKnownOfIt) {
  RequestHead head = Get();
  EXPECT_EQ(RequestFraming(head), BodyFraming::kNone);
  head.method = "POST";
  EXPECT_NE(Written(head).find("\r\nContent-Length: 0\r\n"), std::string::npos);
  head.has_body = true;
  EXPECT_EQ(RequestFraming(head), BodyFraming::kChunked);
  EXPECT_NE(Written(head).find("\r\nTransfer-Encoding: chunked\r\n"), std::string::npos);
  head.content_length = 12345678901;
  EXPECT_EQ(RequestFraming(head), BodyFraming::kLength);
  EXPECT_NE(Written(head).find("\r\nContent-Length: 12345678901\r\n"), std::string::npos);
}

}  // namespace
}  // namespace hybridserve
