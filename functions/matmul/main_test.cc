#include <gtest/gtest.h>

#include "common/testing.h"

namespace functions {
namespace {

TEST(MatmulTest, AnswersWhatPythonComputes) {
  // Three plain loops over the same random numbers, and FNV-1a of the product's bits.
  EXPECT_EQ(AskByQuery("n=2&seed=7").body,
            "{\"n\":2,\"trace\":-0.0939506682,\"checksum\":\"8a916fc2722e52d0\"}\n");
  EXPECT_EQ(AskByQuery("n=5").body,
            "{\"n\":5,\"trace\":-0.0355088642,\"checksum\":\"07342b02d1d6b200\"}\n");
}

TEST(MatmulTest, TheSeedChoosesTheMatrices) {
  EXPECT_NE(AskByQuery("n=9&seed=1").body, AskByQuery("n=9&seed=2").body);
  EXPECT_EQ(AskByQuery("n=9").body, AskByQuery("n=9&seed=1").body);
}

TEST(MatmulTest, SizesMayComeAsJson) {
  EXPECT_EQ(AskByJson(R"({"n": 30, "seed": "4"})").body, AskByQuery("n=30&seed=4").body);
}

TEST(MatmulTest, RefusesSizesOutsideItsRange) {
  for (const char* query : {"n=0", "n=1501", "n=two", "seed=-1", "seed=9223372036854775808"}) {
    EXPECT_EQ(AskByQuery(query).status, 400) << query;
  }
}

}  // namespace
}  // namespace functions
