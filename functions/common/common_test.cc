#include <gtest/gtest.h>

#include "common/checksum.h"
#include "common/parameters.h"
#include "common/random.h"

namespace functions {
namespace {

hs::Request Json(const std::string& body) {
  hs::Request request;
  request.method = "POST";
  request.headers = {{"content-type", "application/json; charset=utf-8"}};
  request.body = body;
  return request;
}

TEST(ParametersTest, TheQueryComesBeforeTheBody) {
  hs::Request request = Json(R"({"n": 7, "m": "8"})");
  request.query = "n=5";
  Parameters parameters(request);
  EXPECT_EQ(parameters.Integer("n", 1, 1, 10), 5);
  EXPECT_EQ(parameters.Integer("m", 1, 1, 10), 8);
  EXPECT_EQ(parameters.Integer("k", 3, 1, 10), 3);
  EXPECT_TRUE(parameters.ok());
}

TEST(ParametersTest, ABodyOfAnotherTypeIsData) {
  hs::Request request = Json(R"({"n": 7})");
  request.headers = {{"content-type", "image/jpeg"}};
  EXPECT_EQ(Parameters(request).Integer("n", 1, 1, 10), 1);
}

TEST(ParametersTest, SaysTheFirstThingThatIsWrong) {
  for (const char* body : {R"({"n": 0})", R"({"n": 11})", R"({"n": 1.5})", R"({"n": "x"})",
                           R"({"n": true})", R"({"n": 99999999999999999999})"}) {
    const hs::Request request = Json(body);
    Parameters parameters(request);
    EXPECT_EQ(parameters.Integer("n", 4, 1, 10), 4);
    parameters.Text("n", "", 0);
    EXPECT_EQ(parameters.wrong(), "n: give a whole number from 1 to 10") << body;
    EXPECT_EQ(parameters.BadRequest().status, 400);
  }
}

TEST(ParametersTest, AValueOfAnyDepthIsWrong) {
  const hs::Request request =
      Json("{\"n\":" + std::string(100'000, '[') + std::string(100'000, ']') + "}");
  Parameters parameters(request);
  parameters.Integer("n", 1, 1, 10);
  EXPECT_EQ(parameters.wrong(), "n: give a whole number from 1 to 10");
}

TEST(ParametersTest, ABodyThatIsNoJsonObjectIsWrong) {
  for (const char* body : {"{", "[1]", "7", "{\"n\": 1}}"}) {
    const hs::Request request = Json(body);
    EXPECT_FALSE(Parameters(request).ok()) << body;
  }
}

TEST(ParametersTest, TextHasALongestLength) {
  const hs::Request request = Json(R"({"name": "abcd"})");
  Parameters parameters(request);
  EXPECT_EQ(parameters.Text("name", "x", 4), "abcd");
  EXPECT_EQ(parameters.Text("name", "x", 3), "x");
  EXPECT_EQ(parameters.wrong(), "name: give at most 3 bytes");
}

TEST(RandomTest, FollowsTheReferenceSequence) {
  Random random(1234567);
  EXPECT_EQ(random.Next(), 6457827717110365317u);
  EXPECT_EQ(random.Next(), 3203168211198807973u);
}

TEST(ChecksumTest, IsFnv1a) {
  Checksum checksum;
  EXPECT_EQ(checksum.Hex(), "cbf29ce484222325");
  checksum.Add("foobar");
  EXPECT_EQ(checksum.Hex(), "85944171f73967e8");
}

}  // namespace
}  // namespace functions
