// Solver: a system of linear equations by LU decomposition with partial pivoting, in blocks.
//
// Thread rule: pure functions.
#pragma once

#include <optional>
#include <vector>

#include "common/matrix.h"

/// Solves a * x = right for a square `a`. Nothing when `a` is singular: a column has no pivot but
/// 0. Source: Golub and Van Loan, Matrix Computations, 4th edition, 3.4 (LINPACK's dgefa and
/// dgesl).
std::optional<std::vector<double>> Solve(functions::Matrix a, std::vector<double> right);

/// The largest |a * x - right|, over n * |a| * |x| * epsilon with the largest row sum as |a| and
/// the largest number as |x|: the normalised residual of LINPACK, about 1 for a sound solution.
double NormalisedResidual(const functions::Matrix& a, const std::vector<double>& x,
                          const std::vector<double>& right);
