// FunctionBench's float_operation: sine, cosine and square root of 0, 1, ..., n-1.
//
// The answer holds the three sums, so that no compiler can drop the work. Even and odd numbers are
// summed apart, a vector register a sum.
#include <cstdio>

#include "common/parameters.h"
#include "common/sine_cosine.h"

namespace {

using functions::Double2;

constexpr long long kDefaultCount = 1000;
constexpr long long kLargestCount = 10'000'000;  // SineAndCosine's range.

struct Sums {
  Double2 sine = {0, 0};
  Double2 cosine = {0, 0};
  Double2 root = {0, 0};
};

Sums FloatOperations(long long count) {
  Sums sums;
  Double2 x = {0, 1};
  for (long long pair = 0; pair < count / 2; ++pair) {
    const functions::SineCosine circle = functions::SineAndCosine(x);
    sums.sine += circle.sine;
    sums.cosine += circle.cosine;
    sums.root += functions::SquareRoot(x);
    x += 2.0;
  }
  if (count % 2 != 0) {
    const functions::SineCosine circle = functions::SineAndCosine(x);
    sums.sine[0] += circle.sine[0];
    sums.cosine[0] += circle.cosine[0];
    sums.root[0] += functions::SquareRoot(x)[0];
  }
  return sums;
}

double Total(Double2 sum) { return sum[0] + sum[1]; }

}  // namespace

hs::Response Handle(const hs::Request& request) {
  functions::Parameters parameters(request);
  const long long count = parameters.Integer("n", kDefaultCount, 1, kLargestCount);
  if (!parameters.ok()) return parameters.BadRequest();
  const Sums sums = FloatOperations(count);
  char text[160];
  std::snprintf(text, sizeof text, "{\"n\":%lld,\"sin\":%.6f,\"cos\":%.6f,\"sqrt\":%.6f}\n", count,
                Total(sums.sine), Total(sums.cosine), Total(sums.root));
  return hs::Response::Json(text);
}
