#include "draw.h"

#include <algorithm>
#include <cstdlib>

#include "common/random.h"

namespace {

/// Whether the point at (dx, dy) from the middle lies in the shape of radius r.
bool IsInside(int shape, int dx, int dy, int r) {
  const int square = dx * dx + dy * dy;
  const int far = std::max(std::abs(dx), std::abs(dy));
  switch (shape) {
    case 0:
      return square <= r * r;
    case 1:
      return square <= r * r && square >= (r - 3) * (r - 3);
    case 2:
      return far < r;
    case 3:
      return far <= r && std::min(std::abs(dx), std::abs(dy)) <= 1;
    case 4:
      return dy >= -r && dy <= r && 2 * std::abs(dx) <= dy + r;
    default:
      return far <= r && (dy & 2) != 0;
  }
}

}  // namespace

Drawing Draw(uint64_t seed) {
  functions::Random random(seed);
  const auto below = [&random](uint64_t bound) { return static_cast<int>(random.Below(bound)); };
  Drawing drawing{};
  drawing.shape = below(kShapes.size());
  const int middle_x = 11 + below(10);
  const int middle_y = 11 + below(10);
  const int radius = 6 + below(5);
  uint8_t* pixel = drawing.picture.data();
  for (int y = 0; y < kSide; ++y) {
    for (int x = 0; x < kSide; ++x) {
      const bool inside = IsInside(drawing.shape, x - middle_x, y - middle_y, radius);
      *pixel++ = static_cast<uint8_t>(below(64) + (inside ? 170 : 20));
    }
  }
  return drawing;
}
