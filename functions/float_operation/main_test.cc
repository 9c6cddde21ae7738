#include <gtest/gtest.h>

#include "common/testing.h"

namespace functions {
namespace {

TEST(FloatOperationTest, SumsTheFirstNumbers) {
  EXPECT_EQ(AskByQuery("n=1").body,
            "{\"n\":1,\"sin\":0.000000,\"cos\":1.000000,\"sqrt\":0.000000}\n");
  // sin 1 + sin 2, 1 + cos 1 + cos 2, 1 + sqrt 2.
  EXPECT_EQ(AskByQuery("n=3").body,
            "{\"n\":3,\"sin\":1.750768,\"cos\":1.124155,\"sqrt\":2.414214}\n");
  // Sums without rounding errors, by Python's math.fsum.
  EXPECT_EQ(AskByQuery("n=1000").body,
            "{\"n\":1000,\"sin\":-0.012910,\"cos\":0.975607,\"sqrt\":21065.833111}\n");
  EXPECT_EQ(AskByQuery("n=100001").body,
            "{\"n\":100001,\"sin\":1.847777,\"cos\":0.033038,\"sqrt\":21082008.973918}\n");
}

TEST(FloatOperationTest, TheDefaultIsAThousand) {
  EXPECT_EQ(AskByQuery("").body, AskByQuery("n=1000").body);
}

TEST(FloatOperationTest, TheCountMayComeAsJson) {
  EXPECT_EQ(AskByJson("{\"n\": 77}").body, AskByQuery("n=77").body);
}

TEST(FloatOperationTest, RefusesWhatIsNoCount) {
  for (const char* query : {"n=0", "n=-1", "n=10000001", "n=ten", "n="}) {
    EXPECT_EQ(AskByQuery(query).status, 400) << query;
  }
}

}  // namespace
}  // namespace functions
