#include "common/vocabulary.h"

#include <gtest/gtest.h>

#include <set>

namespace functions {
namespace {

TEST(VocabularyTest, WordsDifferAndTheCommonOnesAreShort) {
  const Vocabulary vocabulary(5000);
  const std::set<std::string> words(vocabulary.words().begin(), vocabulary.words().end());
  EXPECT_EQ(words.size(), 5000u);
  EXPECT_EQ(vocabulary.words().front(), "ba");
  EXPECT_EQ(vocabulary.words().back().size(), 4u);
  Random random(1);
  size_t common = 0;
  for (int i = 0; i < 1000; ++i) common += vocabulary.Pick(random).size() == 2 ? 1 : 0;
  EXPECT_NEAR(static_cast<double>(common), 256, 60);  // 80 of 5000 words: the cube root of 0.016.
}

TEST(VocabularyTest, ASentenceBeginsLargeAndEndsWithADot) {
  const Vocabulary vocabulary(1);
  Random random(1);
  std::string text = "-";
  vocabulary.AppendSentence(random, 3, text);
  vocabulary.AppendSentence(random, 0, text);
  EXPECT_EQ(text, "-Ba ba ba.");
}

}  // namespace
}  // namespace functions
