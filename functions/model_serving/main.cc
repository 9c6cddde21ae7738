// FunctionBench's model serving: a request chooses one of three small models.
//
//   ?model=logistic_regression&text=a+lovely+film   whether the text is positive
//   ?model=cnn&count=100&seed=1                     which shapes `count` drawn pictures show; a
//   body of
//                                                   1,024 bytes is one picture of 32x32 grey pixels
//   ?model=rnn&count=10&seed=1                      `count` made-up names
#include <algorithm>
#include <cstdio>

#include "common/checksum.h"
#include "common/parameters.h"
#include "models.h"

namespace {

constexpr long long kMostPictures = 5000;
constexpr size_t kLongestText = 65536;
constexpr size_t kShownNames = 20;

hs::Response ServeSentiment(std::string_view text) {
  const Sentiment sentiment = SentimentOf(text);
  char answer[160];
  std::snprintf(answer, sizeof answer,
                "{\"model\":\"logistic_regression\",\"label\":\"%s\",\"log_odds\":%.5f,"
                "\"words\":%d}\n",
                sentiment.log_odds > 0 ? "positive" : "negative", sentiment.log_odds,
                sentiment.words);
  return hs::Response::Json(answer);
}

template <typename Scores>
size_t Largest(const Scores& scores) {
  return static_cast<size_t>(std::max_element(scores.begin(), scores.end()) - scores.begin());
}

hs::Response ClassifyBody(const std::string& body) {
  Picture picture;
  if (body.size() != picture.size()) {
    return hs::Response::Text(
        "body: give 32x32 grey pixels, 1024 bytes, not " + std::to_string(body.size()) + "\n", 422);
  }
  std::copy(body.begin(), body.end(), picture.begin());
  const std::string shape(kShapes[Largest(ShapeClassifier().Scores(picture))]);
  return hs::Response::Json("{\"model\":\"cnn\",\"label\":\"" + shape + "\"}\n");
}

hs::Response ClassifyDrawings(uint64_t seed, long long count) {
  const ShapeClassifier classifier;
  functions::Checksum checksum;
  std::array<int, kShapes.size()> counts{};
  int correct = 0;
  for (long long i = 0; i < count; ++i) {
    const Drawing drawing = Draw(seed + static_cast<uint64_t>(i));
    const auto scores = classifier.Scores(drawing.picture);
    for (const float score : scores) checksum.Add(static_cast<double>(score));
    const size_t shape = Largest(scores);
    ++counts[shape];
    if (static_cast<int>(shape) == drawing.shape) ++correct;
  }
  std::string labels;
  for (size_t shape = 0; shape < kShapes.size(); ++shape) {
    labels += (shape == 0 ? "\"" : ",\"") + std::string(kShapes[shape]) +
              "\":" + std::to_string(counts[shape]);
  }
  return hs::Response::Json("{\"model\":\"cnn\",\"count\":" + std::to_string(count) +
                            ",\"correct\":" + std::to_string(correct) + ",\"labels\":{" + labels +
                            "},\"checksum\":\"" + checksum.Hex() + "\"}\n");
}

hs::Response GenerateNames(uint64_t seed, long long count) {
  const NameGenerator generator;
  functions::Random random(seed);
  functions::Checksum checksum;
  std::string names;
  for (long long i = 0; i < count; ++i) {
    const std::string name = generator.Name(random);
    checksum.Add(name + "\n");
    if (i < static_cast<long long>(kShownNames)) names += (i == 0 ? "\"" : ",\"") + name + "\"";
  }
  return hs::Response::Json("{\"model\":\"rnn\",\"count\":" + std::to_string(count) +
                            ",\"names\":[" + names + "],\"checksum\":\"" + checksum.Hex() +
                            "\"}\n");
}

}  // namespace

hs::Response Handle(const hs::Request& request) {
  functions::Parameters parameters(request);
  const std::string model = parameters.Text("model", "cnn", 32);
  const std::string text = parameters.Text("text", "", kLongestText);
  const auto seed = static_cast<uint64_t>(parameters.Integer("seed", 1, 0, INT64_MAX));
  const long long count = parameters.Integer("count", 10, 1, kMostPictures);
  if (!parameters.ok()) return parameters.BadRequest();
  const bool has_data = !request.body.empty() && !functions::IsJson(request);
  if (model == "logistic_regression") return ServeSentiment(has_data ? request.body : text);
  if (model == "cnn") return has_data ? ClassifyBody(request.body) : ClassifyDrawings(seed, count);
  if (model == "rnn") return GenerateNames(seed, count);
  return hs::Response::Text("model: '" + model + "' is none of logistic_regression, cnn, rnn\n",
                            400);
}
