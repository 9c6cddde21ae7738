#include <gtest/gtest.h>
#include <hybridserve/function.h>

#include "common/checksum.h"
#include "counter_mode.h"

namespace {

hs::Response Ask(const std::string& query, const std::string& message = "") {
  hs::Request request;
  request.query = query;
  request.body = message;
  return Handle(request);
}

std::string Hex(const std::string& bytes) {
  std::string text;
  for (const char byte : bytes) {
    char digits[3];
    std::snprintf(digits, sizeof digits, "%02x", static_cast<uint8_t>(byte));
    text += digits;
  }
  return text;
}

// The blocks of the counters 1 and 2 by Python's cryptography, under the key of FIPS 197, C.1.
TEST(PyaesTest, TheKeyStreamIsTheEncryptedCounters) {
  Key key;
  for (size_t i = 0; i < key.size(); ++i) key[i] = static_cast<uint8_t>(i);
  std::string stream(20, '\0');
  ApplyCounterMode(key, stream, stream.data());
  EXPECT_EQ(Hex(stream), "7346139595c0b41e497bbde365f42d0a49d68753");
}

// The same by Python's cryptography.
TEST(PyaesTest, EncryptsUnderTheKeyOfFunctionBench) {
  EXPECT_EQ(Ask("num_of_iterations=1", "The quick brown fox jumps over the lazy dog").body,
            "{\"bytes\":43,\"iterations\":1,\"checksum\":\"89442a9a7950d923\"}\n");
  EXPECT_EQ(Ask("", std::string(1000, 'a')).body,
            "{\"bytes\":1000,\"iterations\":100,\"checksum\":\"f8af0184fefe43b4\"}\n");
}

TEST(PyaesTest, MessagesAreMadeFromTheSeed) {
  EXPECT_EQ(Ask("").body, Ask("length_of_message=100&num_of_iterations=100&seed=1").body);
  EXPECT_NE(Ask("").body, Ask("seed=2").body);
  EXPECT_EQ(Ask("length_of_message=0&num_of_iterations=1").body,
            "{\"bytes\":0,\"iterations\":1,\"checksum\":\"cbf29ce484222325\"}\n");
}

TEST(PyaesTest, RefusesWhatItCannotTake) {
  for (const char* query : {"length_of_message=-1", "length_of_message=1048577",
                            "num_of_iterations=0", "num_of_iterations=10001", "seed=x"}) {
    EXPECT_EQ(Ask(query).status, 400) << query;
  }
  EXPECT_EQ(Ask("length_of_message=1048576&num_of_iterations=257").status, 413);
  EXPECT_EQ(Ask("num_of_iterations=1", std::string((1u << 20) + 1, 'a')).status, 413);
}

}  // namespace
