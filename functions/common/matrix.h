// Matrix: rows of doubles, and the product that matmul, linpack and their blocks come to.
//
// Thread rule: plain values and pure functions.
#pragma once

#include <cstddef>
#include <vector>

#include "common/checksum.h"
#include "common/random.h"

namespace functions {

/// A rectangle of a matrix; what it points into outlives it. Row r begins at data + r * stride.
struct ConstBlock {
  const double* data;
  size_t stride;
  size_t rows;
  size_t columns;
};
struct Block {
  double* data;
  size_t stride;
  size_t rows;
  size_t columns;
  operator ConstBlock() const { return {data, stride, rows, columns}; }
};

struct Matrix {
  size_t rows;
  size_t columns;
  std::vector<double> values;  ///< Row by row.

  Matrix(size_t row_count, size_t column_count)
      : rows(row_count), columns(column_count), values(row_count * column_count) {}
  [[nodiscard]] double* Row(size_t row) { return values.data() + row * columns; }
  [[nodiscard]] const double* Row(size_t row) const { return values.data() + row * columns; }
  /// The rectangle of `row_count` x `column_count` whose left upper corner is (row, column).
  [[nodiscard]] Block At(size_t row, size_t column, size_t row_count, size_t column_count) {
    return {Row(row) + column, columns, row_count, column_count};
  }
  [[nodiscard]] Block All() { return At(0, 0, rows, columns); }
};

/// Numbers in [-0.5, 0.5), row by row.
Matrix RandomMatrix(size_t rows, size_t columns, Random& random);

/// The bits of all numbers, row by row.
std::string ChecksumOf(const std::vector<double>& numbers);

/// c += a * b, or c -= a * b. a has as many columns as b has rows, c the rows of a and the columns
/// of b; c overlaps neither. Each number of c gets its products in the order of a's columns, 256 of
/// them summed up at a time, on every machine.
enum class Sign { kPlus, kMinus };
void MultiplyAdd(Block c, ConstBlock a, ConstBlock b, Sign sign = Sign::kPlus);

}  // namespace functions
