#include <gtest/gtest.h>
#include <hybridserve/function.h>

#include <cmath>

#include "text_features.h"

namespace {

hs::Response Ask(const std::string& query, const std::string& reviews = "") {
  hs::Request request;
  request.query = query;
  request.body = reviews;
  return Handle(request);
}

TEST(FeatureGenerationTest, CleansAsFunctionBenchDoes) {
  std::string text = "It's GOOD,\t5 stars!\xc3\xa4 @[`{";
  CleanUp(text);
  EXPECT_EQ(text, "it s good    stars        ");
}

// What scikit-learn's TfidfVectorizer() gives for the same texts.
TEST(FeatureGenerationTest, WeighsAsScikitLearnDoes) {
  const std::vector<std::string> texts = {"good tea good price", "bad tea", "a", "tea price"};
  const Features features = MakeFeatures(texts, 1);
  EXPECT_EQ(features.terms, (std::vector<std::string_view>{"bad", "good", "price", "tea"}));
  ASSERT_EQ(features.by_text.size(), 4u);
  ASSERT_EQ(features.by_text[0].size(), 3u);
  EXPECT_EQ(features.by_text[0][0].term, 1u);
  EXPECT_NEAR(features.by_text[0][0].value, 0.891844312851355, 1e-15);
  EXPECT_NEAR(features.by_text[0][1].value, 0.3515701500439878, 1e-15);
  EXPECT_NEAR(features.by_text[0][2].value, 0.28462633615451444, 1e-15);
  EXPECT_NEAR(features.by_text[1][0].value, 0.8429263481500496, 1e-15);
  EXPECT_TRUE(features.by_text[2].empty());
}

TEST(FeatureGenerationTest, TermsAreInEnoughTexts) {
  const std::vector<std::string> texts = {"aa bb aa aa", "bb cc", "cc bb"};
  EXPECT_EQ(MakeFeatures(texts, 2).terms, (std::vector<std::string_view>{"bb", "cc"}));
  EXPECT_EQ(MakeFeatures(texts, 3).terms, (std::vector<std::string_view>{"bb"}));
  EXPECT_TRUE(MakeFeatures(texts, 4).terms.empty());
}

TEST(FeatureGenerationTest, VectorsHaveLengthOne) {
  const std::vector<std::string> texts = {"aa bb cc aa", "bb cc dd", "dd"};
  for (const std::vector<Weight>& weights : MakeFeatures(texts, 1).by_text) {
    double squares = 0;
    for (const Weight& weight : weights) squares += weight.value * weight.value;
    EXPECT_NEAR(squares, 1, 1e-14);
  }
}

TEST(FeatureGenerationTest, ABodyHoldsTheReviews) {
  const std::string body = Ask("min_df=1", "Good tea!\n\nBad TEA, good tea").body;
  EXPECT_EQ(body.substr(0, body.find(",\"checksum")),
            R"({"reviews":3,"terms":3,"weights":5,"top_term":"tea")");
  EXPECT_NE(body, Ask("min_df=1", "Good tea!\n\nBad TEA").body);
}

TEST(FeatureGenerationTest, ReviewsAreMadeFromTheSeed) {
  EXPECT_EQ(Ask("").body, Ask("n=1000&seed=1&min_df=5").body);
  EXPECT_NE(Ask("n=50").body, Ask("n=50&seed=2").body);
  EXPECT_EQ(Ask("n=0").body,
            "{\"reviews\":0,\"terms\":0,\"weights\":0,\"top_term\":\"\","
            "\"checksum\":\"cbf29ce484222325\"}\n");
}

TEST(FeatureGenerationTest, RefusesWhatItCannotTake) {
  for (const char* query : {"n=-1", "n=20001", "seed=x", "min_df=0", "min_df="}) {
    EXPECT_EQ(Ask(query).status, 400) << query;
  }
  EXPECT_EQ(Ask("", std::string((1u << 20) + 1, 'a')).status, 413);
}

}  // namespace
