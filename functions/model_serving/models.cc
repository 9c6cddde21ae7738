#include "models.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "layers.h"
#include "weights.h"

namespace {

constexpr size_t kFirst = 8;    // Filters of the first layer.
constexpr size_t kSecond = 16;  // Of the second.
constexpr size_t kHalf = kSide / 2;
constexpr size_t kQuarter = kSide / 4;
constexpr size_t kHidden = 64;
constexpr size_t kLetters = 27;  // The name's end, a, b, ..., z.
constexpr size_t kShortestName = 2;
constexpr size_t kLongestName = 12;

std::vector<float> Unpack(std::span<const int8_t> numbers, double scale) {
  std::vector<float> weights;
  weights.reserve(numbers.size());
  for (const int8_t number : numbers) weights.push_back(static_cast<float>(number * scale));
  return weights;
}

bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/// FNV-1a of the word in lower case, in the range of the features.
size_t FeatureOf(std::string_view word) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (const char letter : word) {
    hash = (hash ^ static_cast<uint8_t>(letter | 0x20)) * 0x100000001b3u;
  }
  return hash % std::size(weights::kSentiment);
}

/// Rows of `side` + 2 pixels with an edge of zeros.
std::vector<float> Padded(size_t side, size_t channels) {
  return std::vector<float>((side + 2) * (side + 2) * channels);
}

}  // namespace

Sentiment SentimentOf(std::string_view text) {
  int sum = 0;
  int words = 0;
  for (size_t at = 0; at < text.size(); ++at) {
    const size_t start = at;
    while (at < text.size() && IsLetter(text[at])) ++at;
    if (at == start) continue;
    sum += weights::kSentiment[FeatureOf(text.substr(start, at - start))];
    ++words;
  }
  return {sum * weights::kSentimentScale, words};
}

ShapeClassifier::ShapeClassifier()
    : first_(Unpack(weights::kFirstFilters, weights::kFirstFiltersScale)),
      second_(Unpack(weights::kSecondFilters, weights::kSecondFiltersScale)),
      dense_(Unpack(weights::kDense, weights::kDenseScale)) {}

std::array<float, kShapes.size()> ShapeClassifier::Scores(const Picture& picture) const {
  std::vector<float> image = Padded(kSide, 1);
  for (size_t y = 0; y < kSide; ++y) {
    for (size_t x = 0; x < kSide; ++x) {
      image[(y + 1) * (kSide + 2) + x + 1] = static_cast<float>(picture[y * kSide + x]) / 256;
    }
  }
  std::vector<float> middle = Padded(kHalf, kFirst);
  constexpr size_t kStride = (kHalf + 2) * kFirst;
  layers::ConvolveAndPool<kSide, 1, kFirst>(image.data(), first_.data(),
                                            middle.data() + kStride + kFirst, kStride);
  std::vector<float> features(kQuarter * kQuarter * kSecond);
  layers::ConvolveAndPool<kHalf, kFirst, kSecond>(middle.data(), second_.data(), features.data(),
                                                  kQuarter * kSecond);
  std::array<float, kShapes.size()> scores{};
  const float* weight = dense_.data();
  for (const float feature : features) {
    for (float& score : scores) score += feature * *weight++;
  }
  for (float& score : scores) score += *weight++;
  return scores;
}

NameGenerator::NameGenerator()
    : recurrent_(Unpack(weights::kRecurrent, weights::kRecurrentScale)),
      inward_(Unpack(weights::kInward, weights::kInwardScale)),
      readout_(Unpack(weights::kReadout, weights::kReadoutScale)) {}

std::string NameGenerator::Name(functions::Random& random) const {
  std::array<float, kHidden> state{};
  std::string name;
  for (size_t letter = 0; name.size() < kLongestName;) {
    functions::Float4 next[kHidden / 4];
    for (size_t i = 0; i < kHidden / 4; ++i) {
      next[i] = functions::Load<functions::Float4>(&inward_[letter * kHidden + 4 * i]);
    }
    layers::AddProduct<kHidden, kHidden>(state.data(), recurrent_.data(), next);
    for (size_t i = 0; i < kHidden; ++i) {
      const float sum = next[i / 4][i % 4];
      state[i] = sum / (1 + std::fabs(sum));
    }
    std::array<float, kLetters> chances{};
    for (size_t i = 0; i < kHidden; ++i) {
      for (size_t l = 0; l < kLetters; ++l) chances[l] += state[i] * readout_[i * kLetters + l];
    }
    if (name.size() < kShortestName) chances[0] = 0;
    float total = 0;
    for (float& chance : chances) {
      chance = std::max(chance - 0.02F, 0.0F);  // What is below a fiftieth is never said.
      total += chance;
    }
    float drawn = static_cast<float>(random.Unit()) * total;
    for (letter = 0; letter + 1 < kLetters && drawn >= chances[letter]; ++letter) {
      drawn -= chances[letter];
    }
    if (letter == 0) break;
    name += static_cast<char>('a' + letter - 1);
  }
  return name;
}
