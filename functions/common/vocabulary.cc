#include "common/vocabulary.h"

namespace functions {
namespace {

constexpr std::string_view kConsonants = "bcdfghjklmnprstvz";
constexpr std::string_view kVowels = "aeiou";
constexpr size_t kSyllables = kConsonants.size() * kVowels.size();

/// `number` in bijective numeration to the base of the syllables: every number another word.
std::string Word(size_t number) {
  std::string word;
  for (size_t rest = number + 1; rest > 0; rest = (rest - 1) / kSyllables) {
    const size_t syllable = (rest - 1) % kSyllables;
    word += kConsonants[syllable % kConsonants.size()];
    word += kVowels[syllable / kConsonants.size()];
  }
  return word;
}

}  // namespace

Vocabulary::Vocabulary(size_t size) {
  words_.reserve(size);
  for (size_t i = 0; i < size; ++i) words_.push_back(Word(i));
}

std::string_view Vocabulary::Pick(Random& random) const {
  const double unit = random.Unit();
  return words_[static_cast<size_t>(unit * unit * unit * static_cast<double>(words_.size()))];
}

void Vocabulary::AppendSentence(Random& random, size_t count, std::string& text) const {
  const size_t begin = text.size();
  for (size_t i = 0; i < count; ++i) {
    text += Pick(random);
    text += i + 1 < count ? ' ' : '.';
  }
  if (count > 0) text[begin] = static_cast<char>(text[begin] - 'a' + 'A');
}

}  // namespace functions
