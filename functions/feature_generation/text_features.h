// Text features: TF-IDF (Spärck Jones, 1972) with scikit-learn's defaults (TfidfVectorizer): a term
// counts by count * (ln((1 + n) / (1 + df)) + 1), and each text's vector has length 1.
//
// Thread rule: plain functions and values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

/// One text's share of the matrix: a column (of a term) and its weight, above 0.
struct Weight {
  uint32_t term = 0;
  double value = 0;
};

struct Features {
  std::vector<std::string_view> terms;        ///< Sorted; views of the texts as cleaned.
  std::vector<std::vector<Weight>> by_text;   ///< By term.
};

/// Lower case, and a space for whatever is no letter of ASCII (FunctionBench's cleanup).
void CleanUp(std::string& text);

/// The features of texts that were cleaned and outlive the result. Terms are words of at least two
/// letters that are in at least `least_texts` of the texts.
Features MakeFeatures(const std::vector<std::string>& texts, size_t least_texts);
