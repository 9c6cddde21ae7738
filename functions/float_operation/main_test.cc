#include <gtest/gtest.h>
#include <hybridserve/function.h>

namespace {

hs::Response Ask(const std::string& query) {
  hs::Request request;
  request.query = query;
  return Handle(request);
}

TEST(FloatOperationTest, SumsTheFirstNumbers) {
  EXPECT_EQ(Ask("n=1").body, "{\"n\":1,\"sin\":0.000000,\"cos\":1.000000,\"sqrt\":0.000000}\n");
  // sin 1 + sin 2, 1 + cos 1 + cos 2, 1 + sqrt 2.
  EXPECT_EQ(Ask("n=3").body, "{\"n\":3,\"sin\":1.750768,\"cos\":1.124155,\"sqrt\":2.414214}\n");
}

TEST(FloatOperationTest, TheDefaultIsAThousand) { EXPECT_EQ(Ask("").body, Ask("n=1000").body); }

TEST(FloatOperationTest, RefusesWhatIsNoCount) {
  for (const char* query : {"n=0", "n=-1", "n=10000001", "n=ten", "n="}) {
    EXPECT_EQ(Ask(query).status, 400) << query;
  }
}

}  // namespace
