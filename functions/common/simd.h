// Simd: vectors of 128 bits as GCC and Clang have them, SSE2 natively and simd128 in Wasm. Their
// + - * / work lane by lane and round as the scalar operations do, so both builds give equal bits.
//
// Source: "Using Vector Instructions through Built-in Functions", GCC's manual 6.52.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

namespace functions {

using Double2 = double __attribute__((vector_size(16)));
using Float4 = float __attribute__((vector_size(16)));
using Long2 = int64_t __attribute__((vector_size(16)));

/// From and to memory of any alignment.
template <typename Vector, typename Element>
inline Vector Load(const Element* from) {
  Vector vector;
  std::memcpy(&vector, from, sizeof vector);
  return vector;
}
template <typename Vector, typename Element>
inline void Store(Element* to, const Vector& vector) {
  std::memcpy(to, &vector, sizeof vector);
}

inline Double2 Splat(double value) { return Double2{value, value}; }
inline Float4 Splat(float value) { return Float4{value, value, value, value}; }
inline Long2 Splat(int64_t value) { return Long2{value, value}; }

/// The same bits, read as another type of vector.
inline Long2 Bits(Double2 vector) { return reinterpret_cast<Long2>(vector); }
inline Double2 FromBits(Long2 bits) { return reinterpret_cast<Double2>(bits); }

inline Double2 SquareRoot(Double2 vector) {
  return Double2{std::sqrt(vector[0]), std::sqrt(vector[1])};
}

}  // namespace functions
