// SineCosine: sine and cosine of two numbers at once, equal bits in both builds, for |x| <= 1e7.
//
// The mathematics of glibc and musl differ in last bits and reduce the range once for each of the
// two functions. Here one reduction serves both and nothing branches, so a loop over it fills the
// vector registers. x is reduced to y in [-pi/4, pi/4] by Cody and Waite's method with pi/2 in four
// parts: x = k*pi/2 + y. The first three parts have 30 bits and |k| < 2^23, so their products with
// k are exact, and y has a relative error of 2^-52 however near x is to a multiple of pi/2. Then
// come polynomials that interpolate at Chebyshev nodes; their relative error is below 2^-55.
//
// Accuracy: within 3 units in the last place (the test measures it). Beyond 1e7 it gets worse.
// Source: Cody and Waite, Software Manual for the Elementary Functions, 1980, chapter 8; Muller,
// Elementary Functions, 3rd edition, 11.2.
#pragma once

#include "common/simd.h"

namespace functions {

struct SineCosine {
  Double2 sine;
  Double2 cosine;
};

inline SineCosine SineAndCosine(Double2 x) {
  // Adding 1.5 * 2^52 rounds to a whole number, which is then in the sum's lowest bits.
  constexpr double kRounder = 0x1.8p52;
  const Double2 shifted = x * 0x1.45f306dc9c883p-1 + kRounder;
  const Long2 quadrant = Bits(shifted);
  const Double2 k = shifted - kRounder;
  const Double2 y = (((x - k * 0x1.921fb54p0) - k * 0x1.10b46118p-30) - k * 0x1.313198ap-61) -
                    k * 0x1.701b839a25205p-92;
  const Double2 z = y * y;
  const Double2 s = z * 0x1.5e0af186af739p-33 - 0x1.ae600a926c89ap-26;
  const Double2 c = z * -0x1.907d7aebd5e3dp-37 + 0x1.1eeb68b109173p-29;
  const Double2 s_sum =
      (((s * z + 0x1.71de37961e4c6p-19) * z - 0x1.a01a019e8357dp-13) * z + 0x1.1111111110bb1p-7) *
          z -
      0x1.5555555555555p-3;
  const Double2 c_sum =
      (((c * z - 0x1.27e4fa17a41b4p-22) * z + 0x1.a01a019f4e867p-16) * z - 0x1.6c16c16c16966p-10) *
          z +
      0x1.5555555555555p-5;
  const Double2 near_sine = y * z * s_sum + y;
  const Double2 near_cosine = z * z * c_sum + (1.0 - 0.5 * z);
  // An odd k swaps the two; the second bit of k, and of k + 1, are their signs.
  const Long2 swap = -(quadrant & 1);
  const Long2 both = (Bits(near_sine) ^ Bits(near_cosine)) & swap;
  const Long2 sine_sign = (quadrant & 2) << 62;
  const Long2 cosine_sign = ((quadrant + 1) & 2) << 62;
  return {FromBits(Bits(near_sine) ^ both ^ sine_sign),
          FromBits(Bits(near_cosine) ^ both ^ cosine_sign)};
}

}  // namespace functions
