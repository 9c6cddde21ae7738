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

// The values are those of a program of its own, in Python.
TEST(SequentialDiskIoTest, AnswersWhatWasReadBack) {
  EXPECT_EQ(Ask("file_size=1&byte_size=4096").body,
            "{\"blocks\":256,\"bytes\":1048576,\"checksum\":\"288db8a3b0bb59fa\"}\n");
  EXPECT_EQ(Ask("file_size=1&byte_size=1000").body,
            "{\"blocks\":1048,\"bytes\":1048000,\"checksum\":\"d47606e467f2ce61\"}\n");
  EXPECT_EQ(Ask("file_size=2&byte_size=65536&seed=7").body,
            "{\"blocks\":32,\"bytes\":2097152,\"checksum\":\"5c5086f12f4947a1\"}\n");
  EXPECT_EQ(Ask("file_size=1&byte_size=1048576").body,
            "{\"blocks\":1,\"bytes\":1048576,\"checksum\":\"c2800a8ef532de5b\"}\n");
}

TEST(SequentialDiskIoTest, TakesItsSizesFromJsonToo) {
  EXPECT_EQ(AskJson(R"({"file_size": 2, "byte_size": "65536", "seed": 7})").body,
            Ask("file_size=2&byte_size=65536&seed=7").body);
}

TEST(SequentialDiskIoTest, DefaultIs16MebibytesIn4KibibyteBlocks) {
  EXPECT_EQ(Ask("").body, Ask("file_size=16&byte_size=4096&seed=1").body);
}

TEST(SequentialDiskIoTest, RefusesSizesOutOfRange) {
  for (const char* query : {"file_size=0", "file_size=129", "file_size=x", "byte_size=511",
                            "byte_size=1048577", "byte_size=", "seed=-1"}) {
    EXPECT_EQ(Ask(query).status, 400) << query;
  }
  EXPECT_EQ(AskJson("[1]").status, 400);
}

TEST(SequentialDiskIoTest, FileThatCannotBeWrittenIs507WithTheReason) {
  const functions::FileSizeLimit limit(100000);
  const hs::Response response = Ask("file_size=1");
  EXPECT_EQ(response.status, 507);
  EXPECT_NE(response.body.find("cannot write /tmp/sequential_disk_io-"), std::string::npos)
      << response.body;
}

}  // namespace
