// The natural logarithm with the same bits in both builds, whose C libraries may differ in the last
// one: + - * / only, which IEEE 754 rounds correctly. Within 2 units in the last place of std::log.
#pragma once

#include <cstdint>
#include <cstring>

namespace functions {

/// ln x for finite normal x > 0: the exponent's share, and of the fraction f in [0.71, 1.42)
/// 2 artanh((f-1)/(f+1)) by its power series.
inline double NaturalLogarithm(double x) {
  constexpr double kLn2High = 0x1.62e42feep-1;  // 32 bits: exact by any exponent.
  constexpr double kLn2Low = 0x1.a39ef35793c76p-33;
  constexpr uint64_t kFraction = (uint64_t{1} << 52) - 1;
  constexpr uint64_t kRootOfHalf = 0x3fe6a09e667f3bcd;
  uint64_t bits = 0;
  std::memcpy(&bits, &x, sizeof bits);
  const uint64_t shifted = bits - kRootOfHalf;
  const double exponent = static_cast<double>(static_cast<int64_t>(shifted) >> 52);
  bits = kRootOfHalf + (shifted & kFraction);
  double fraction = 0;
  std::memcpy(&fraction, &bits, sizeof fraction);
  const double s = (fraction - 1) / (fraction + 1);
  const double square = s * s;
  double series = 0;  // s^2/3 + s^4/5 + ...; s is below 0.172, so what follows is below 2^-58.
  for (int n = 21; n >= 3; n -= 2) series = (series + 1.0 / n) * square;
  return exponent * kLn2High + (2 * s + (2 * s * series + exponent * kLn2Low));
}

}  // namespace functions
