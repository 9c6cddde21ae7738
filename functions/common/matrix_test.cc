#include "common/matrix.h"

#include <gtest/gtest.h>

namespace functions {
namespace {

/// c += sign * a * b as the textbook has it.
void MultiplyPlainly(Matrix& c, const Matrix& a, const Matrix& b, double sign) {
  for (size_t i = 0; i < a.rows; ++i) {
    for (size_t j = 0; j < b.columns; ++j) {
      double sum = 0;
      for (size_t k = 0; k < a.columns; ++k) sum += a.Row(i)[k] * b.Row(k)[j];
      c.Row(i)[j] += sign * sum;
    }
  }
}

struct Shape {
  size_t rows, depth, columns;
};

TEST(MatrixTest, ProductsOfAllShapesAreThoseOfTheTextbook) {
  // Below, at and above the sizes of tiles and blocks.
  const Shape shapes[] = {{1, 1, 1},    {2, 3, 5},    {4, 4, 4},    {5, 1, 7},
                          {7, 255, 3},  {8, 256, 12}, {3, 257, 6},  {127, 9, 10},
                          {128, 5, 11}, {129, 6, 4},  {131, 300, 9}};
  for (const Shape& shape : shapes) {
    for (const Sign sign : {Sign::kPlus, Sign::kMinus}) {
      Random random(shape.rows);
      Matrix a = RandomMatrix(shape.rows, shape.depth, random);
      Matrix b = RandomMatrix(shape.depth, shape.columns, random);
      Matrix c = RandomMatrix(shape.rows, shape.columns, random);
      Matrix want = c;
      MultiplyPlainly(want, a, b, sign == Sign::kPlus ? 1 : -1);
      MultiplyAdd(c.All(), a.All(), b.All(), sign);
      for (size_t i = 0; i < c.values.size(); ++i) {
        ASSERT_NEAR(c.values[i], want.values[i], 1e-13)
            << shape.rows << "x" << shape.depth << "x" << shape.columns << " at " << i;
      }
    }
  }
}

TEST(MatrixTest, AProductOfBlocksLeavesTheRestAlone) {
  Random random(3);
  Matrix a = RandomMatrix(9, 9, random);
  const Matrix before = a;
  MultiplyAdd(a.At(3, 3, 6, 6), a.At(3, 0, 6, 3), a.At(0, 3, 3, 6), Sign::kMinus);
  for (size_t row = 0; row < 9; ++row) {
    for (size_t column = 0; column < 9; ++column) {
      EXPECT_EQ(a.Row(row)[column] == before.Row(row)[column], row < 3 || column < 3);
    }
  }
}

TEST(MatrixTest, AnEmptyProductChangesNothing) {
  Matrix none(0, 0);
  MultiplyAdd(none.All(), none.All(), none.All());
  EXPECT_TRUE(none.values.empty());
}

}  // namespace
}  // namespace functions
