#include "common/logarithm.h"

#include <gtest/gtest.h>

#include <cmath>

#include "common/random.h"

namespace functions {
namespace {

/// How many doubles `a` is away from `b`; both of one sign.
int64_t UlpsBetween(double a, double b) {
  int64_t x = 0;
  int64_t y = 0;
  std::memcpy(&x, &a, sizeof x);
  std::memcpy(&y, &b, sizeof y);
  return std::abs(x - y);
}

TEST(LogarithmTest, IsWithinTwoUnitsOfTheLastPlace) {
  Random random(1);
  for (int i = 0; i < 200'000; ++i) {
    const double unit = random.Unit();
    for (const double x : {1 + unit, 1 + unit * 1e-6, 1 + unit * 1e5, 0.01 + unit * 0.98}) {
      ASSERT_LE(UlpsBetween(NaturalLogarithm(x), std::log(x)), 2) << std::hexfloat << x;
    }
  }
}

TEST(LogarithmTest, HoldsAtTheEnds) {
  EXPECT_EQ(NaturalLogarithm(1), 0);
  for (const double x : {0x1p-1022, 0x1.fffffffffffffp1023, 2.0, 0.5, 0x1.6a09e667f3bcdp-1}) {
    EXPECT_LE(UlpsBetween(NaturalLogarithm(x), std::log(x)), 2) << std::hexfloat << x;
  }
}

}  // namespace
}  // namespace functions
