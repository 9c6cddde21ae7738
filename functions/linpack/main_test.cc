#include <gtest/gtest.h>

#include <cmath>

#include "common/testing.h"
#include "solver.h"

namespace functions {
namespace {

Matrix Of(size_t n, std::vector<double> values) {
  Matrix matrix(n, n);
  matrix.values = std::move(values);
  return matrix;
}

TEST(SolverTest, SolvesASystemThatNeedsPivots) {
  // 2y + z = 7, x + y = 3, 3x + 2z = 9: x = 1, y = 2, z = 3.
  const auto x = Solve(Of(3, {0, 2, 1, 1, 1, 0, 3, 0, 2}), {7, 3, 9});
  ASSERT_TRUE(x);
  EXPECT_NEAR((*x)[0], 1, 1e-15);
  EXPECT_NEAR((*x)[1], 2, 1e-15);
  EXPECT_NEAR((*x)[2], 3, 1e-15);
}

TEST(SolverTest, ASmallPivotCostsNoAccuracy) {
  // Without pivoting the first number would be 0.
  const auto x = Solve(Of(2, {1e-20, 1, 1, 1}), {1, 2});
  ASSERT_TRUE(x);
  EXPECT_NEAR((*x)[0], 1, 1e-15);
  EXPECT_NEAR((*x)[1], 1, 1e-15);
}

TEST(SolverTest, ASingularSystemHasNoAnswer) {
  EXPECT_FALSE(Solve(Of(2, {1, 2, 2, 4}), {1, 2}));
  EXPECT_FALSE(Solve(Of(1, {0}), {1}));
}

TEST(SolverTest, SizesAroundThePanelsLeaveASmallResidual) {
  for (const size_t n : {1, 2, 7, 31, 32, 33, 47, 48, 49, 63, 64, 65, 95, 96, 97, 130, 200}) {
    Random random(n);
    const Matrix a = RandomMatrix(n, n, random);
    std::vector<double> right(n);
    for (double& number : right) number = random.Unit();
    const auto x = Solve(a, right);
    ASSERT_TRUE(x) << n;
    EXPECT_LT(NormalisedResidual(a, *x, right), 10) << n;
  }
}

TEST(SolverTest, AWrongSolutionHasALargeResidual) {
  EXPECT_GT(NormalisedResidual(Of(2, {1, 0, 0, 1}), {1, 1.001}, {1, 1}), 1e6);
}

TEST(LinpackTest, TheSolutionIsAllOnes) {
  const std::string body = AskByQuery("n=100").body;
  EXPECT_TRUE(body.starts_with("{\"n\":100,\"residual\":")) << body;
  const size_t error = body.find("\"error\":");
  ASSERT_NE(error, std::string::npos) << body;
  EXPECT_LT(std::strtod(body.c_str() + error + 8, nullptr), 1e-10) << body;
}

TEST(LinpackTest, OneEquationIsSolvedExactly) {
  // The bits of 1.0, by FNV-1a.
  EXPECT_EQ(AskByQuery("n=1").body,
            "{\"n\":1,\"residual\":0,\"error\":0,\"checksum\":\"aab1693229ba1db8\"}\n");
}

TEST(LinpackTest, SizesMayComeAsJson) {
  EXPECT_EQ(AskByJson(R"({"n": 30, "seed": 4})").body, AskByQuery("n=30&seed=4").body);
  EXPECT_NE(AskByJson(R"({"n": 30, "seed": 5})").body, AskByQuery("n=30&seed=4").body);
}

TEST(LinpackTest, RefusesSizesOutsideItsRange) {
  for (const char* query : {"n=0", "n=1501", "n=two", "seed=-1"}) {
    EXPECT_EQ(AskByQuery(query).status, 400) << query;
  }
}

}  // namespace
}  // namespace functions
