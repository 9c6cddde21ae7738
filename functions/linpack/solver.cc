// LU decomposition by blocks of columns ("right-looking"): a panel of 32 columns is decomposed by
// itself, its row exchanges are applied to the other columns, the rows of U beside it are solved
// for, and the rest of the matrix gets one product of matrices, which is nearly all of the work.
#include "solver.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "common/simd.h"

namespace {

using functions::Double2;
using functions::Matrix;

constexpr size_t kPanel = 48;

/// to[0..count) -= factor * from[0..count).
void SubtractMultiple(double* to, const double* from, double factor, size_t count) {
  const Double2 factors = functions::Splat(factor);
  size_t i = 0;
  for (; i + 4 <= count; i += 4) {
    const auto left = functions::Load<Double2>(from + i);
    const auto right = functions::Load<Double2>(from + i + 2);
    functions::Store(to + i, functions::Load<Double2>(to + i) - factors * left);
    functions::Store(to + i + 2, functions::Load<Double2>(to + i + 2) - factors * right);
  }
  for (; i < count; ++i) to[i] -= factor * from[i];
}

size_t RowOfPivot(const Matrix& a, size_t column) {
  size_t best = column;
  for (size_t row = column + 1; row < a.rows; ++row) {
    if (std::fabs(a.Row(row)[column]) > std::fabs(a.Row(best)[column])) best = row;
  }
  return best;
}

void ExchangeRows(Matrix& a, size_t row, size_t other) {
  if (row != other) std::swap_ranges(a.Row(row), a.Row(row) + a.columns, a.Row(other));
}

/// Decomposes columns begin..end-1, rows begin and below. Whole rows are exchanged, those of
/// `right` with them. False when there is no pivot.
bool DecomposePanel(Matrix& a, std::vector<double>& right, size_t begin, size_t end) {
  for (size_t column = begin; column < end; ++column) {
    const size_t pivot = RowOfPivot(a, column);
    if (a.Row(pivot)[column] == 0) return false;
    ExchangeRows(a, column, pivot);
    std::swap(right[column], right[pivot]);
    const double* pivot_row = a.Row(column);
    for (size_t row = column + 1; row < a.rows; ++row) {
      double* target = a.Row(row);
      target[column] /= pivot_row[column];
      SubtractMultiple(target + column + 1, pivot_row + column + 1, target[column],
                       end - column - 1);
    }
  }
  return true;
}

/// The rows of U beside the panel: L of the panel is a unit triangle.
void SolveRowsBeside(Matrix& a, size_t begin, size_t end) {
  for (size_t row = begin + 1; row < end; ++row) {
    for (size_t above = begin; above < row; ++above) {
      SubtractMultiple(a.Row(row) + end, a.Row(above) + end, a.Row(row)[above], a.columns - end);
    }
  }
}

bool Decompose(Matrix& a, std::vector<double>& right) {
  const size_t n = a.rows;
  for (size_t begin = 0; begin < n; begin += kPanel) {
    const size_t end = std::min(begin + kPanel, n);
    if (!DecomposePanel(a, right, begin, end)) return false;
    SolveRowsBeside(a, begin, end);
    const size_t rest = n - end;
    functions::MultiplyAdd(a.At(end, end, rest, rest), a.At(end, begin, rest, end - begin),
                           a.At(begin, end, end - begin, rest), functions::Sign::kMinus);
  }
  return true;
}

/// The sum of row[i] * x[i] for i in [begin, end), in the order of i.
double Dot(const double* row, const std::vector<double>& x, size_t begin, size_t end) {
  double sum = 0;
  for (size_t i = begin; i < end; ++i) sum += row[i] * x[i];
  return sum;
}

double LargestMagnitude(const std::vector<double>& numbers) {
  double largest = 0;
  for (const double number : numbers) largest = std::max(largest, std::fabs(number));
  return largest;
}

double LargestRowSum(const Matrix& a) {
  double largest = 0;
  for (size_t row = 0; row < a.rows; ++row) {
    double sum = 0;
    for (size_t i = 0; i < a.columns; ++i) sum += std::fabs(a.Row(row)[i]);
    largest = std::max(largest, sum);
  }
  return largest;
}

}  // namespace

std::optional<std::vector<double>> Solve(Matrix a, std::vector<double> right) {
  if (!Decompose(a, right)) return std::nullopt;
  const size_t n = a.rows;
  std::vector<double>& x = right;
  for (size_t row = 0; row < n; ++row) x[row] -= Dot(a.Row(row), x, 0, row);
  for (size_t row = n; row-- > 0;) {
    x[row] = (x[row] - Dot(a.Row(row), x, row + 1, n)) / a.Row(row)[row];
  }
  return x;
}

double NormalisedResidual(const Matrix& a, const std::vector<double>& x,
                          const std::vector<double>& right) {
  double residual = 0;
  for (size_t row = 0; row < a.rows; ++row) {
    residual = std::max(residual, std::fabs(Dot(a.Row(row), x, 0, a.columns) - right[row]));
  }
  const double scale = static_cast<double>(a.rows) * LargestRowSum(a) * LargestMagnitude(x) *
                       std::numeric_limits<double>::epsilon();
  return residual == 0 ? 0 : residual / scale;
}
