#include <gtest/gtest.h>
#include <hybridserve/function.h>

#include <nlohmann/json.hpp>

#include "gzip.h"

namespace {

hs::Response Ask(const std::string& query, const std::string& file = "") {
  hs::Request request;
  request.query = query;
  request.body = file;
  return Handle(request);
}

// `printf hello | gzip -9n`, with the operating system's byte that zlib writes (3: Unix).
TEST(GzipCompressionTest, AMemberIsWhatGzipWrites) {
  const std::string expected("\x1f\x8b\x08\0\0\0\0\0\x02\x03\xcb\x48\xcd\xc9\xc9\x07\0"
                             "\x86\xa6\x10\x36\x05\0\0\0", 25);
  EXPECT_EQ(Compress("hello", 9), expected);
  EXPECT_EQ(Decompress(expected, 5), "hello");
}

TEST(GzipCompressionTest, WhatIsDamagedIsNotDecompressed) {
  const std::string member = *Compress("hello hello hello", 6);
  EXPECT_EQ(Decompress(member, 17), "hello hello hello");
  EXPECT_FALSE(Decompress(member, 16));
  EXPECT_FALSE(Decompress(member, 18));
  EXPECT_FALSE(Decompress(member + "x", 17));
  EXPECT_FALSE(Decompress("", 0));
  for (size_t i = 12; i < member.size(); ++i) {
    std::string damaged = member;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x10);
    EXPECT_FALSE(Decompress(damaged, 17) == "hello hello hello") << i;
  }
}

TEST(GzipCompressionTest, TextShrinksAndNoiseDoesNot) {
  const std::string text = Ask("file_size=1").body;
  EXPECT_TRUE(text.starts_with("{\"bytes\":1048576,\"compressed\":4")) << text;
  const std::string noise = Ask("file_size=1&data=random").body;
  EXPECT_TRUE(noise.starts_with("{\"bytes\":1048576,\"compressed\":10")) << noise;
  EXPECT_EQ(text, Ask("").body);
  EXPECT_NE(text, Ask("seed=2").body);
}

TEST(GzipCompressionTest, AHigherLevelIsSmaller) {
  const auto fast = nlohmann::json::parse(Ask("level=1").body);
  const auto small = nlohmann::json::parse(Ask("level=9").body);
  EXPECT_GT(fast["compressed"], small["compressed"]);
}

TEST(GzipCompressionTest, ABodyIsTheFile) {
  EXPECT_TRUE(Ask("", "hello").body.starts_with("{\"bytes\":5,\"compressed\":25,"));
  EXPECT_TRUE(Ask("file_size=0").body.starts_with("{\"bytes\":0,\"compressed\":20,"));
  EXPECT_EQ(Ask("", std::string((16u << 20) + 1, 'a')).status, 413);
}

TEST(GzipCompressionTest, RefusesWhatItCannotTake) {
  for (const char* query : {"file_size=17", "file_size=-1", "level=0", "level=10", "data=zeros",
                            "seed=x", "data=aaaaaaaaaaaaaaaaa"}) {
    EXPECT_EQ(Ask(query).status, 400) << query;
  }
}

}  // namespace
