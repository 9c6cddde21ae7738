// The three models of model_serving. Their arithmetic is + - * / in a fixed order, so that both
// builds give equal bits: no function of a C library's mathematics is needed (the network's
// activations are max(x, 0) and x / (1 + |x|)).
//
// Thread rule: models are made once and constant from then on.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "common/random.h"
#include "draw.h"

/// Logistic regression over hashed words: whether a text speaks well of something.
struct Sentiment {
  double log_odds;  ///< Above 0: positive.
  int words;
};
Sentiment SentimentOf(std::string_view text);

/// A convolutional network of two layers and a dense one.
class ShapeClassifier {
 public:
  ShapeClassifier();
  /// How much the picture looks like each shape; the largest says which it is.
  [[nodiscard]] std::array<float, kShapes.size()> Scores(const Picture& picture) const;

 private:
  std::vector<float> first_;   // [3][3][1][8]
  std::vector<float> second_;  // [3][3][8][16]
  std::vector<float> dense_;   // [8 * 8 * 16 + 1][6]
};

/// A recurrent network that says the letters of a name one by one.
class NameGenerator {
 public:
  NameGenerator();
  /// A name of 2 to 12 letters.
  [[nodiscard]] std::string Name(functions::Random& random) const;

 private:
  std::vector<float> recurrent_;  // [64][64]: row j is what state j adds to each.
  std::vector<float> inward_;     // [27][64]
  std::vector<float> readout_;    // [64][27]
};
