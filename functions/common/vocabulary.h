// Vocabulary: made-up words for the texts that workloads work on. Some words are common and most
// are rare, as in a language, and the common ones are the short ones. The same words and texts on
// every machine and in both builds.
//
// Thread rule: immutable once made; any threads may share one, each with its own Random.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/random.h"

namespace functions {

class Vocabulary {
 public:
  /// `size` different words of lower-case letters; at least 1.
  explicit Vocabulary(size_t size);

  [[nodiscard]] const std::vector<std::string>& words() const { return words_; }
  /// A word; the place of the one picked is the cube of a uniform number.
  [[nodiscard]] std::string_view Pick(Random& random) const;
  /// Appends a sentence of `count` words: "Ba cedo ba.". Nothing if `count` is 0.
  void AppendSentence(Random& random, size_t count, std::string& text) const;

 private:
  std::vector<std::string> words_;
};

}  // namespace functions
