#include <gtest/gtest.h>
#include <hybridserve/function.h>

#include "common/file_size_limit.h"

namespace {

hs::Response Ask(const std::string& query) {
  hs::Request request;
  request.query = query;
  return Handle(request);
}

hs::Response AskJson(const std::string& body) {
  hs::Request request;
  request.method = "POST";
  request.headers = {{"content-type", "application/json"}};
  request.body = body;
  return Handle(request);
}

std::string Copied(int bs, int count, int bytes, const std::string& checksum) {
  return "{\"bs\":" + std::to_string(bs) + ",\"count\":" + std::to_string(count) +
         ",\"bytes\":" + std::to_string(bytes) + ",\"checksum\":\"" + checksum + "\"}\n";
}

// The checksums are those of a program of its own, in Python.
TEST(DdTest, CopiesCountBlocksOfZeros) {
  EXPECT_EQ(Ask("bs=512&count=3").body, Copied(512, 3, 1536, "974fc56e37b392c1"));
  EXPECT_EQ(Ask("bs=1&count=1").body, Copied(1, 1, 1, "74995cab01186a8e"));
  EXPECT_EQ(Ask("bs=1000&count=1").body, Copied(1000, 1, 1000, "793a637f4e6770ef"));
  EXPECT_EQ(Ask("bs=65536&count=16").body, Copied(65536, 16, 1048576, "4252aca5b757501d"));
}

TEST(DdTest, TakesItsSizesFromJsonToo) {
  EXPECT_EQ(AskJson(R"({"bs": "512", "count": 3})").body, Ask("bs=512&count=3").body);
}

TEST(DdTest, DefaultIs16Mebibytes) {
  EXPECT_EQ(Ask("").body, Ask("bs=65536&count=256").body);
  EXPECT_EQ(Ask("bs=16777216").status, 200) << "the default count fits any block";
}

TEST(DdTest, RefusesSizesOutOfRange) {
  for (const char* query : {"bs=0", "bs=16777217", "bs=64k", "count=0",
                            "count=", "bs=1&count=1048577", "bs=1048576&count=129"}) {
    EXPECT_EQ(Ask(query).status, 400) << query;
  }
  EXPECT_EQ(AskJson("[1]").status, 400);
}

TEST(DdTest, CopyThatCannotBeWrittenIs507WithTheReason) {
  const functions::FileSizeLimit limit(100000);
  const hs::Response response = Ask("bs=4096&count=256");
  EXPECT_EQ(response.status, 507);
  EXPECT_NE(response.body.find("cannot write /tmp/dd-"), std::string::npos) << response.body;
}

}  // namespace
