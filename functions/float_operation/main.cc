// FunctionBench's float_operation: sine, cosine and square root of 0, 1, ..., n-1.
//
// The answer holds the three sums, so that no compiler can drop the work. The C libraries of the
// two builds differ in the last bit of some sines and cosines; six decimals of the sums are the
// same for every n the function takes (checked for each of them, see README.md).
#include <hybridserve/function.h>

#include <cmath>
#include <cstdio>

namespace {

constexpr long long kDefaultCount = 1000;
constexpr long long kLargestCount = 10'000'000;

struct Sums {
  double sine = 0;
  double cosine = 0;
  double root = 0;
};

Sums FloatOperations(long long count) {
  Sums sums;
  for (long long i = 0; i < count; ++i) {
    double x = static_cast<double>(i);
    sums.sine += std::sin(x);
    sums.cosine += std::cos(x);
    sums.root += std::sqrt(x);
  }
  return sums;
}

}  // namespace

hs::Response Handle(const hs::Request& request) {
  std::optional<long long> count = request.IntegerOr("n", kDefaultCount, 1, kLargestCount);
  if (!count) return hs::Response::Text("n: give a whole number from 1 to 10000000\n", 400);
  Sums sums = FloatOperations(*count);
  char text[160];
  std::snprintf(text, sizeof text, "{\"n\":%lld,\"sin\":%.6f,\"cos\":%.6f,\"sqrt\":%.6f}\n", *count,
                sums.sine, sums.cosine, sums.root);
  return hs::Response::Json(text);
}
