// Layers of small networks over rows of floats, vectors of four along the outputs.
//
// Thread rule: pure functions.
#pragma once

#include <cstddef>

#include "common/simd.h"

namespace layers {

/// out[o] += sum over i of in[i] * weights[i * Outputs + o], i ascending. Outputs is a multiple
/// of 4.
template <size_t Inputs, size_t Outputs>
inline void AddProduct(const float* in, const float* weights,
                       functions::Float4 (&out)[Outputs / 4]) {
  for (size_t i = 0; i < Inputs; ++i) {
    const functions::Float4 factor = functions::Splat(in[i]);
    for (size_t o = 0; o < Outputs / 4; ++o) {
      out[o] += factor * functions::Load<functions::Float4>(weights + i * Outputs + 4 * o);
    }
  }
}

/// 3x3 filters over `in`, Side + 2 rows of Side + 2 pixels of In numbers, the outermost pixels 0.
/// Each output is the largest of 2x2 neighbours, or 0 if none is above; it goes into `out`, rows of
/// `out_stride` numbers.
template <size_t Side, size_t In, size_t Out>
void ConvolveAndPool(const float* in, const float* weights, float* out, size_t out_stride) {
  constexpr size_t kStride = (Side + 2) * In;
  using functions::Float4;
  for (size_t y = 0; y < Side; y += 2) {
    for (size_t x = 0; x < Side; x += 2) {
      Float4 largest[Out / 4] = {};
      for (size_t corner = 0; corner < 4; ++corner) {
        const float* window = in + (y + corner / 2) * kStride + (x + corner % 2) * In;
        Float4 sums[Out / 4] = {};
        for (size_t row = 0; row < 3; ++row) {
          // Three pixels of a row lie one behind the other, as their weights do.
          AddProduct<3 * In, Out>(window + row * kStride, weights + row * 3 * In * Out, sums);
        }
        for (size_t o = 0; o < Out / 4; ++o)
          largest[o] = sums[o] > largest[o] ? sums[o] : largest[o];
      }
      for (size_t o = 0; o < Out / 4; ++o) {
        functions::Store(out + y / 2 * out_stride + x / 2 * Out + 4 * o, largest[o]);
      }
    }
  }
}

}  // namespace layers
