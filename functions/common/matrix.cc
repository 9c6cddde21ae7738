// The product of matrices, in blocks that stay in the caches and tiles that stay in the registers.
//
// A tile of c, 4 x 4 numbers, is eight vector registers: each step along k loads four numbers of b
// and four of a for 16 products, so arithmetic and not memory is the limit. So that the tile's
// loads are consecutive, blocks of a and b are copied first: a in panels of four rows, b in panels
// of four columns, each k after k, the edges filled up with zeros. One panel of b (8 KiB) stays in
// the first cache while a block of a (128 x 256 numbers, 256 KiB, in the second) passes by.
//
// Source: Goto and van de Geijn, Anatomy of High-Performance Matrix Multiplication, 2008.
#include "common/matrix.h"

#include <algorithm>

#include "common/simd.h"

namespace functions {
namespace {

constexpr size_t kTile = 4;
constexpr size_t kDepth = 256;  // Along k.
constexpr size_t kRows = 128;   // Of a, in one block.

size_t Panels(size_t count) { return (count + kTile - 1) / kTile; }

/// Four rows of `a` by columns, times `factor`.
void PackRows(ConstBlock a, double factor, double* out) {
  for (size_t panel = 0; panel < a.rows; panel += kTile) {
    const size_t rows = std::min(kTile, a.rows - panel);
    for (size_t k = 0; k < a.columns; ++k) {
      for (size_t r = 0; r < kTile; ++r) {
        *out++ = r < rows ? factor * a.data[(panel + r) * a.stride + k] : 0;
      }
    }
  }
}

/// Four columns of `b` by rows.
void PackColumns(ConstBlock b, double* out) {
  for (size_t panel = 0; panel < b.columns; panel += kTile) {
    const size_t columns = std::min(kTile, b.columns - panel);
    for (size_t k = 0; k < b.rows; ++k) {
      const double* row = b.data + k * b.stride + panel;
      for (size_t c = 0; c < kTile; ++c) *out++ = c < columns ? row[c] : 0;
    }
  }
}

/// 4 x 4 numbers of c as eight vectors: straight[r][c] holds (2r, 2c) and (2r+1, 2c+1) of them,
/// crossed[r][c] holds (2r, 2c+1) and (2r+1, 2c). So two of a and two of b are multiplied as they
/// lie in memory, and b once more with its halves exchanged; nothing is spread over a vector.
struct Tile {
  Double2 straight[2][2];
  Double2 crossed[2][2];
};

inline Double2 Exchanged(Double2 vector) { return Double2{vector[1], vector[0]}; }

/// One step along k: four numbers of a times four of b.
inline void Step(const double* a, const double* b, Tile& tile) {
  const Double2 rows[] = {Load<Double2>(a), Load<Double2>(a + 2)};
  const Double2 columns[] = {Load<Double2>(b), Load<Double2>(b + 2)};
  for (size_t c = 0; c < 2; ++c) {
    const Double2 exchanged = Exchanged(columns[c]);
    for (size_t r = 0; r < 2; ++r) {
      tile.straight[r][c] += rows[r] * columns[c];
      tile.crossed[r][c] += rows[r] * exchanged;
    }
  }
}

/// The tile, row by row.
void StoreTile(const Tile& tile, double* out) {
  for (size_t r = 0; r < 2; ++r, out += 2 * kTile) {
    for (size_t c = 0; c < 2; ++c) {
      const Double2 straight = tile.straight[r][c];
      const Double2 crossed = tile.crossed[r][c];
      Store(out + 2 * c, Double2{straight[0], crossed[0]});
      Store(out + kTile + 2 * c, Double2{crossed[1], straight[1]});
    }
  }
}

/// Not inlined, so that the compiler has all registers for the tile.
[[gnu::noinline]] void MultiplyPanels(const double* a, const double* b, size_t depth, double* out) {
  Tile tile{};
  for (size_t k = 0; k < depth; ++k, a += kTile, b += kTile) Step(a, b, tile);
  StoreTile(tile, out);
}

/// Adds the part of the tile that lies in `c`.
void AddTile(const double* tile, Block c) {
  for (size_t r = 0; r < std::min(kTile, c.rows); ++r, tile += kTile) {
    double* row = c.data + r * c.stride;
    if (c.columns >= kTile) {
      Store(row, Load<Double2>(row) + Load<Double2>(tile));
      Store(row + 2, Load<Double2>(row + 2) + Load<Double2>(tile + 2));
    } else {
      for (size_t i = 0; i < c.columns; ++i) row[i] += tile[i];
    }
  }
}

void MultiplyPacked(Block c, const double* a, const double* b, size_t depth) {
  for (size_t column = 0; column < c.columns; column += kTile) {
    for (size_t row = 0; row < c.rows; row += kTile) {
      double tile[kTile * kTile];
      MultiplyPanels(a + row * depth, b + column * depth, depth, tile);
      AddTile(tile, {c.data + row * c.stride + column, c.stride, c.rows - row, c.columns - column});
    }
  }
}

}  // namespace

Matrix RandomMatrix(size_t rows, size_t columns, Random& random) {
  Matrix matrix(rows, columns);
  for (double& value : matrix.values) value = random.Unit() - 0.5;
  return matrix;
}

std::string ChecksumOf(const std::vector<double>& numbers) {
  Checksum checksum;
  for (const double number : numbers) checksum.Add(number);
  return checksum.Hex();
}

void MultiplyAdd(Block c, ConstBlock a, ConstBlock b, Sign sign) {
  const double factor = sign == Sign::kPlus ? 1 : -1;
  const size_t deepest = std::min(kDepth, a.columns);
  std::vector<double> packed_a(Panels(std::min(kRows, a.rows)) * kTile * deepest);
  std::vector<double> packed_b(Panels(b.columns) * kTile * deepest);
  for (size_t k = 0; k < a.columns; k += kDepth) {
    const size_t depth = std::min(kDepth, a.columns - k);
    PackColumns({b.data + k * b.stride, b.stride, depth, b.columns}, packed_b.data());
    for (size_t row = 0; row < a.rows; row += kRows) {
      const size_t rows = std::min(kRows, a.rows - row);
      PackRows({a.data + row * a.stride + k, a.stride, rows, depth}, factor, packed_a.data());
      MultiplyPacked({c.data + row * c.stride, c.stride, rows, c.columns}, packed_a.data(),
                     packed_b.data(), depth);
    }
  }
}

}  // namespace functions
