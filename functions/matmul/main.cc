// FunctionBench's matmul: the product of two random n x n matrices of doubles.
#include <cstdio>

#include "common/matrix.h"
#include "common/parameters.h"

namespace {

constexpr long long kDefaultSize = 256;
constexpr long long kLargestSize = 1500;

double Trace(const functions::Matrix& matrix) {
  double sum = 0;
  for (size_t i = 0; i < matrix.rows; ++i) sum += matrix.Row(i)[i];
  return sum;
}

}  // namespace

hs::Response Handle(const hs::Request& request) {
  functions::Parameters parameters(request);
  const auto n = static_cast<size_t>(parameters.Integer("n", kDefaultSize, 1, kLargestSize));
  const auto seed = static_cast<uint64_t>(parameters.Integer("seed", 1, 0, INT64_MAX));
  if (!parameters.ok()) return parameters.BadRequest();
  functions::Random random(seed);
  functions::Matrix a = functions::RandomMatrix(n, n, random);
  functions::Matrix b = functions::RandomMatrix(n, n, random);
  functions::Matrix product(n, n);
  functions::MultiplyAdd(product.All(), a.All(), b.All());
  char text[160];
  std::snprintf(text, sizeof text, "{\"n\":%zu,\"trace\":%.9g,\"checksum\":\"%s\"}\n", n,
                Trace(product), functions::ChecksumOf(product.values).c_str());
  return hs::Response::Json(text);
}
