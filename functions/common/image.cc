#include "common/image.h"

#include <algorithm>

namespace functions {

Image::Image(int image_width, int image_height, int image_channels)
    : width(image_width), height(image_height), channels(image_channels) {
  pixels.resize(static_cast<size_t>(width) * static_cast<size_t>(height) *
                static_cast<size_t>(channels));
}

namespace {

void CopyPixel(const Image& from, int x, int y, Image& to, int to_x, int to_y) {
  const uint8_t* pixel = from.At(x, y);
  uint8_t* out = to.At(to_x, to_y);
  for (int c = 0; c < from.channels; ++c) out[c] = pixel[c];
}

/// Row `y` as Sums, with `radius` more pixels on either side that repeat the edge.
template <typename Sum>
void WidenRow(const Image& image, int y, int radius, std::vector<Sum>& sums) {
  Sum* out = sums.data();
  for (int x = -radius; x < image.width + radius; ++x) {
    const uint8_t* pixel = image.At(std::clamp(x, 0, image.width - 1), y);
    for (int c = 0; c < image.channels; ++c) *out++ = pixel[c];
  }
}

/// To each number its neighbour `distance` further on is added; the last ones have none and are
/// spent. `out` is another buffer, so that the loop is one of vectors.
template <typename Sum>
void AddNeighbours(const Sum* __restrict sums, size_t count, size_t distance, Sum* __restrict out) {
  for (size_t i = 0; i + distance < count; ++i) {
    out[i] = static_cast<Sum>(sums[i] + sums[i + distance]);
  }
}

/// Blurs along each row and transposes, so that two passes blur both ways and walk memory in rows.
/// Sums of neighbours, 2*radius times over, have the binomial coefficients as weights (Pascal's
/// triangle) and need no product. A Sum holds 255 * 4^radius and half of 4^radius.
template <typename Sum>
Image BlurRowsAndTranspose(const Image& image, int radius) {
  const auto channels = static_cast<size_t>(image.channels);
  std::vector<Sum> sums(static_cast<size_t>(image.width + 2 * radius) * channels);
  std::vector<Sum> other(sums.size());
  const int shift = 2 * radius;
  const Sum half = static_cast<Sum>(Sum{1} << (shift - 1));
  Image result(image.height, image.width, image.channels);
  for (int y = 0; y < image.height; ++y) {
    WidenRow(image, y, radius, sums);
    for (int pass = 0; pass < radius; ++pass) {
      AddNeighbours(sums.data(), sums.size(), channels, other.data());
      AddNeighbours(other.data(), other.size(), channels, sums.data());
    }
    const Sum* sum = sums.data();
    for (int x = 0; x < image.width; ++x) {
      uint8_t* out = result.At(y, x);
      for (size_t c = 0; c < channels; ++c) out[c] = static_cast<uint8_t>((*sum++ + half) >> shift);
    }
  }
  return result;
}

template <typename Sum>
Image BlurBothWays(const Image& image, int radius) {
  return BlurRowsAndTranspose<Sum>(BlurRowsAndTranspose<Sum>(image, radius), radius);
}

}  // namespace

Image Flip(const Image& image) {
  Image result(image.width, image.height, image.channels);
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x) {
      CopyPixel(image, x, y, result, image.width - 1 - x, y);
    }
  }
  return result;
}

Image Rotate(const Image& image, int degrees) {
  const bool half_turn = degrees == 180;
  Image result(half_turn ? image.width : image.height, half_turn ? image.height : image.width,
               image.channels);
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x) {
      if (half_turn) {
        CopyPixel(image, x, y, result, image.width - 1 - x, image.height - 1 - y);
      } else if (degrees == 90) {
        CopyPixel(image, x, y, result, y, image.width - 1 - x);
      } else {
        CopyPixel(image, x, y, result, image.height - 1 - y, x);
      }
    }
  }
  return result;
}

Image Blur(const Image& image, int radius) {
  if (radius <= 4) return BlurBothWays<uint16_t>(image, radius);
  if (radius <= 12) return BlurBothWays<uint32_t>(image, radius);
  return BlurBothWays<uint64_t>(image, radius);
}

Image Grayscale(const Image& image) {
  if (image.channels == 1) return image;
  Image result(image.width, image.height, 1);
  for (size_t i = 0; i < result.pixels.size(); ++i) {
    const uint8_t* pixel = &image.pixels[i * 3];
    result.pixels[i] =
        static_cast<uint8_t>((299 * pixel[0] + 587 * pixel[1] + 114 * pixel[2] + 500) / 1000);
  }
  return result;
}

}  // namespace functions
