// FunctionBench's linpack: solves a random system a * x = b of n equations. b is the sum of each of
// a's rows, so that every number of x is 1 but for rounding.
#include <cmath>
#include <cstdio>

#include "common/parameters.h"
#include "solver.h"

namespace {

constexpr long long kDefaultSize = 300;
constexpr long long kLargestSize = 1500;

std::vector<double> RowSums(const functions::Matrix& a) {
  std::vector<double> sums(a.rows);
  for (size_t row = 0; row < a.rows; ++row) {
    for (size_t i = 0; i < a.columns; ++i) sums[row] += a.Row(row)[i];
  }
  return sums;
}

double LargestErrorFromOne(const std::vector<double>& x) {
  double largest = 0;
  for (const double number : x) largest = std::fmax(largest, std::fabs(number - 1));
  return largest;
}

}  // namespace

hs::Response Handle(const hs::Request& request) {
  functions::Parameters parameters(request);
  const auto n = static_cast<size_t>(parameters.Integer("n", kDefaultSize, 1, kLargestSize));
  const auto seed = static_cast<uint64_t>(parameters.Integer("seed", 1, 0, INT64_MAX));
  if (!parameters.ok()) return parameters.BadRequest();
  functions::Random random(seed);
  const functions::Matrix a = functions::RandomMatrix(n, n, random);
  const std::vector<double> right = RowSums(a);
  const std::optional<std::vector<double>> x = Solve(a, right);
  if (!x) return hs::Response::Text("seed: its matrix is singular; take another one\n", 422);
  char text[200];
  std::snprintf(
      text, sizeof text, "{\"n\":%zu,\"residual\":%.3g,\"error\":%.3g,\"checksum\":\"%s\"}\n", n,
      NormalisedResidual(a, *x, right), LargestErrorFromOne(*x), functions::ChecksumOf(*x).c_str());
  return hs::Response::Json(text);
}
