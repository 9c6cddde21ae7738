#include "text_features.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "common/logarithm.h"

namespace {

struct Count {
  uint32_t term = 0;
  uint32_t count = 0;
};

/// FNV-1a: the words are short, and both builds hash the same way.
struct WordHash {
  size_t operator()(std::string_view word) const {
    uint32_t hash = 0x811c9dc5u;
    for (const char c : word) hash = (hash ^ static_cast<uint8_t>(c)) * 0x01000193u;
    return hash;
  }
};

/// All words of the texts, numbered as they come, and how often each text has each.
class WordCounter {
 public:
  void AddText(std::string_view text) {
    std::vector<Count> counts;
    for (size_t end = 0; end < text.size();) {
      const size_t begin = std::min(text.find_first_not_of(' ', end), text.size());
      end = std::min(text.find(' ', begin), text.size());
      if (end - begin >= 2) AddWord(text.substr(begin, end - begin), counts);
    }
    by_text_.push_back(std::move(counts));
  }

  [[nodiscard]] const std::vector<std::string_view>& words() const { return words_; }
  /// In how many texts each word is.
  [[nodiscard]] const std::vector<uint32_t>& texts_with() const { return texts_with_; }
  [[nodiscard]] const std::vector<std::vector<Count>>& by_text() const { return by_text_; }

 private:
  void AddWord(std::string_view word, std::vector<Count>& counts) {
    const auto [known, is_new] = numbers_.try_emplace(word, static_cast<uint32_t>(words_.size()));
    const uint32_t number = known->second;
    if (is_new) {
      words_.push_back(word);
      texts_with_.push_back(0);
      places_.push_back(0);
    }
    // The place of the word's count, if it is this text's.
    uint32_t& place = places_[number];
    if (place >= counts.size() || counts[place].term != number) {
      place = static_cast<uint32_t>(counts.size());
      counts.push_back({number, 0});
      ++texts_with_[number];
    }
    ++counts[place].count;
  }

  std::unordered_map<std::string_view, uint32_t, WordHash> numbers_;
  std::vector<std::string_view> words_;
  std::vector<uint32_t> texts_with_;
  std::vector<uint32_t> places_;
  std::vector<std::vector<Count>> by_text_;
};

std::vector<Weight> WeightsOf(const std::vector<Count>& counts,
                              const std::vector<uint32_t>& column_of,
                              const std::vector<double>& idf, uint32_t no_column) {
  std::vector<Weight> weights;
  weights.reserve(counts.size());
  for (const Count& count : counts) {
    const uint32_t column = column_of[count.term];
    if (column != no_column) weights.push_back({column, count.count * idf[column]});
  }
  std::ranges::sort(weights, {}, &Weight::term);
  double squares = 0;
  for (const Weight& weight : weights) squares += weight.value * weight.value;
  const double length = std::sqrt(squares);
  for (Weight& weight : weights) weight.value /= length;
  return weights;
}

}  // namespace

void CleanUp(std::string& text) {
  for (char& c : text) {
    const char lower = static_cast<char>(c | 0x20);
    c = lower >= 'a' && lower <= 'z' ? lower : ' ';
  }
}

Features MakeFeatures(const std::vector<std::string>& texts, size_t least_texts) {
  WordCounter counter;
  for (const std::string& text : texts) counter.AddText(text);

  std::vector<uint32_t> kept;
  for (uint32_t word = 0; word < counter.words().size(); ++word) {
    if (counter.texts_with()[word] >= least_texts) kept.push_back(word);
  }
  std::ranges::sort(kept, {}, [&](uint32_t word) { return counter.words()[word]; });

  Features features;
  const uint32_t no_column = static_cast<uint32_t>(kept.size());
  std::vector<uint32_t> column_of(counter.words().size(), no_column);
  std::vector<double> idf;
  for (const uint32_t word : kept) {
    column_of[word] = static_cast<uint32_t>(features.terms.size());
    features.terms.push_back(counter.words()[word]);
    const double with = 1.0 + counter.texts_with()[word];
    idf.push_back(functions::NaturalLogarithm((1.0 + static_cast<double>(texts.size())) / with) + 1);
  }
  features.by_text.reserve(texts.size());
  for (const std::vector<Count>& counts : counter.by_text()) {
    features.by_text.push_back(WeightsOf(counts, column_of, idf, no_column));
  }
  return features;
}
