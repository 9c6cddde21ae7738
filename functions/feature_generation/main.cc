// FunctionBench's feature_generation: the TF-IDF features of product reviews.
#include <hybridserve/function.h>

#include <algorithm>
#include <cstdio>

#include "common/checksum.h"
#include "common/parameters.h"
#include "common/vocabulary.h"
#include "text_features.h"

namespace {

using functions::Random;
using functions::Vocabulary;

constexpr long long kMostReviews = 20'000;
constexpr size_t kLongestBody = 1u << 20;

/// A review has 2 to 6 sentences, with numbers and marks that CleanUp takes out.
std::vector<std::string> MakeReviews(size_t count, uint64_t seed) {
  const Vocabulary vocabulary(5000);
  Random random(seed);
  std::vector<std::string> reviews(count);
  for (std::string& review : reviews) {
    for (uint64_t left = 2 + random.Below(5); left > 0; --left) {
      vocabulary.AppendSentence(random, 5 + random.Below(12), review);
      review += left == 3 ? " <br />" + std::to_string(random.Below(100)) + "% " : " ";
    }
  }
  return reviews;
}

std::vector<std::string> LinesOf(std::string_view body) {
  std::vector<std::string> lines;
  while (!body.empty()) {
    const std::string_view line = body.substr(0, body.find('\n'));
    lines.emplace_back(line);
    body.remove_prefix(std::min(body.size(), line.size() + 1));
  }
  return lines;
}

/// The term with the largest sum of weights, the first of them; empty without terms.
std::string_view TopTerm(const Features& features) {
  std::vector<double> sums(features.terms.size());
  for (const std::vector<Weight>& weights : features.by_text) {
    for (const Weight& weight : weights) sums[weight.term] += weight.value;
  }
  const auto top = std::ranges::max_element(sums);
  return top == sums.end() ? "" : features.terms[static_cast<size_t>(top - sums.begin())];
}

hs::Response Answer(std::vector<std::string> reviews, size_t least_texts) {
  for (std::string& review : reviews) CleanUp(review);
  const Features features = MakeFeatures(reviews, least_texts);
  functions::Checksum checksum;
  for (const std::string_view term : features.terms) checksum.Add(term);
  size_t weights_count = 0;
  for (const std::vector<Weight>& weights : features.by_text) {
    weights_count += weights.size();
    double sum = 0;  // Each text's weights by their place: two that change places change the sum.
    for (size_t i = 0; i < weights.size(); ++i) {
      sum += weights[i].value * static_cast<double>(weights[i].term + i + 1);
    }
    checksum.Add(sum);
  }
  return hs::Response::Json("{\"reviews\":" + std::to_string(reviews.size()) +
                            ",\"terms\":" + std::to_string(features.terms.size()) +
                            ",\"weights\":" + std::to_string(weights_count) + ",\"top_term\":\"" +
                            std::string(TopTerm(features)) + "\",\"checksum\":\"" +
                            checksum.Hex() + "\"}\n");
}

bool IsReviews(const hs::Request& request) {
  return !request.body.empty() &&
         !request.HeaderValue("content-type").starts_with("application/json");
}

}  // namespace

hs::Response Handle(const hs::Request& request) {
  functions::Parameters parameters(request);
  const long long count = parameters.Integer("n", 1000, 0, kMostReviews);
  const long long seed = parameters.Integer("seed", 1, 0, 1'000'000'000);
  const long long least_texts = parameters.Integer("min_df", 5, 1, kMostReviews);
  if (!parameters.ok()) return parameters.BadRequest();
  if (IsReviews(request) && request.body.size() > kLongestBody) {
    return hs::Response::Text("body: give at most 1048576 bytes of reviews, one a line\n", 413);
  }
  return Answer(IsReviews(request)
                    ? LinesOf(request.body)
                    : MakeReviews(static_cast<size_t>(count), static_cast<uint64_t>(seed)),
                static_cast<size_t>(least_texts));
}
