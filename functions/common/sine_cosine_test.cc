#include "common/sine_cosine.h"

#include <gtest/gtest.h>

#include <cmath>

#include "common/random.h"

namespace functions {
namespace {

/// The distance of `got` from `want` in units of the last place of a double.
long double Units(double got, long double want) {
  const double near = std::fabs(static_cast<double>(want));
  return std::fabs(got - want) / (std::nextafter(near, HUGE_VAL) - near);
}

long double WorstOf(double x) {
  const SineCosine circle = SineAndCosine(Double2{x, -x});
  EXPECT_EQ(circle.sine[0], -circle.sine[1]);
  EXPECT_EQ(circle.cosine[0], circle.cosine[1]);
  return std::max(Units(circle.sine[0], std::sin(static_cast<long double>(x))),
                  Units(circle.cosine[0], std::cos(static_cast<long double>(x))));
}

TEST(SineCosineTest, WholeNumbersAreWithinThreeUnits) {
  for (int x = 1; x <= 10'000'000; x += 37) ASSERT_LT(WorstOf(x), 3) << x;
}

TEST(SineCosineTest, NumbersOfAllMagnitudesAreWithinThreeUnits) {
  Random random(1);
  for (int i = 0; i < 200'000; ++i) {
    const double x = std::ldexp(random.Unit() * 1e7, -static_cast<int>(random.Below(40)));
    ASSERT_LT(WorstOf(x), 3) << x;
  }
}

TEST(SineCosineTest, NumbersBesideMultiplesOfAQuarterTurnAreWithinThreeUnits) {
  for (int k = 1; k < 6'366'000; k += 61) {
    const auto x = static_cast<double>(k * 1.57079632679489661923132169163975144L);
    ASSERT_LT(WorstOf(x), 3) << k;
  }
}

TEST(SineCosineTest, ZeroIsExact) {
  const SineCosine circle = SineAndCosine(Splat(0.0));
  EXPECT_EQ(circle.sine[0], 0);
  EXPECT_EQ(circle.cosine[0], 1);
}

}  // namespace
}  // namespace functions
