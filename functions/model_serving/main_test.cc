#include <gtest/gtest.h>

#include <algorithm>

#include "common/testing.h"
#include "models.h"

namespace functions {
namespace {

hs::Response Send(const std::string& body, const std::string& query) {
  hs::Request request;
  request.method = "POST";
  request.query = query;
  request.body = body;
  return Handle(request);
}

int ShapeOf(const Picture& picture) {
  const auto scores = ShapeClassifier().Scores(picture);
  return static_cast<int>(std::max_element(scores.begin(), scores.end()) - scores.begin());
}

TEST(SentimentTest, AnswersWhatPythonComputes) {
  // From make_weights.py's own weights and words.
  EXPECT_EQ(SentimentOf("A lovely, friendly place!").log_odds, 2.84375);
  EXPECT_EQ(SentimentOf("the food was COLD and the staff rude").log_odds, -3.9375);
}

TEST(SentimentTest, WordsAreRunsOfLetters) {
  EXPECT_EQ(SentimentOf("...one,two three4five\n").words, 4);
  EXPECT_EQ(SentimentOf("").words, 0);
  EXPECT_EQ(SentimentOf("").log_odds, 0);
}

TEST(ShapeClassifierTest, AnswersWhatPythonComputes) {
  // make_weights.py's draw() and convolve(), seeds 1 to 20.
  const int labels[] = {5, 4, 3, 4, 2, 2, 3, 4, 4, 4, 3, 3, 1, 2, 5, 5, 3, 4, 4, 0};
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    EXPECT_EQ(ShapeOf(Draw(seed).picture), labels[seed - 1]) << seed;
  }
  const double scores[] = {-0.25670702, 0.22006347, 0.14924931, 0.32980519, 0.09507196, 0.41250794};
  const auto got = ShapeClassifier().Scores(Draw(1).picture);
  for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], scores[i], 1e-4);
}

TEST(ShapeClassifierTest, KnowsNineOfTenPicturesItNeverSaw) {
  int correct = 0;
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    const Drawing drawing = Draw(seed);
    if (ShapeOf(drawing.picture) == drawing.shape) ++correct;
  }
  EXPECT_GE(correct, 270);
}

TEST(NameGeneratorTest, NamesAreTwoToTwelveLetters) {
  const NameGenerator generator;
  Random random(5);
  for (int i = 0; i < 300; ++i) {
    const std::string name = generator.Name(random);
    EXPECT_TRUE(name.size() >= 2 && name.size() <= 12) << name;
    EXPECT_TRUE(std::ranges::all_of(name, [](char c) { return c >= 'a' && c <= 'z'; })) << name;
  }
}

TEST(ModelServingTest, SaysWhetherATextIsPositive) {
  EXPECT_EQ(AskByQuery("model=logistic_regression&text=a+lovely+friendly+place").body,
            "{\"model\":\"logistic_regression\",\"label\":\"positive\",\"log_odds\":2.84375,"
            "\"words\":4}\n");
  EXPECT_EQ(Send("The food was cold and the staff rude.", "model=logistic_regression").body,
            "{\"model\":\"logistic_regression\",\"label\":\"negative\",\"log_odds\":-3.93750,"
            "\"words\":8}\n");
}

TEST(ModelServingTest, ClassifiesAPictureInTheBody) {
  const Picture picture = Draw(2).picture;
  EXPECT_EQ(Send(std::string(picture.begin(), picture.end()), "model=cnn").body,
            "{\"model\":\"cnn\",\"label\":\"triangle\"}\n");
  EXPECT_EQ(Send("short", "").status, 422);
}

TEST(ModelServingTest, CountsTheShapesOfDrawnPictures) {
  const std::string body = AskByQuery("model=cnn&count=20&seed=1").body;
  EXPECT_TRUE(body.starts_with("{\"model\":\"cnn\",\"count\":20,\"correct\":")) << body;
  EXPECT_NE(body.find("\"labels\":{\"disc\":1,\"ring\":1,\"square\":3,\"cross\":5,"
                      "\"triangle\":7,\"stripes\":3}"),
            std::string::npos)
      << body;
}

TEST(ModelServingTest, TheSeedChoosesTheNames) {
  EXPECT_EQ(AskByJson(R"({"model": "rnn", "count": 3, "seed": 8})").body,
            AskByQuery("model=rnn&count=3&seed=8").body);
  EXPECT_NE(AskByQuery("model=rnn&count=3&seed=9").body,
            AskByQuery("model=rnn&count=3&seed=8").body);
}

TEST(ModelServingTest, RefusesUnknownModelsAndCounts) {
  EXPECT_EQ(AskByQuery("model=gpt").body,
            "model: 'gpt' is none of logistic_regression, cnn, rnn\n");
  for (const char* query : {"model=gpt", "count=0", "count=5001", "count=x", "seed=-1"}) {
    EXPECT_EQ(AskByQuery(query).status, 400) << query;
  }
}

}  // namespace
}  // namespace functions
