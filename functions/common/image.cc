#include "common/image.h"

#include <algorithm>
#include <cstring>

namespace functions {

Image::Image(int image_width, int image_height, int image_channels)
    : width(image_width), height(image_height), channels(image_channels) {
  pixels.resize(static_cast<size_t>(width) * static_cast<size_t>(height) *
                static_cast<size_t>(channels));
}

namespace {

void CopyPixel(const Image& from, int x, int y, Image& to, int to_x, int to_y) {
  std::memcpy(to.At(to_x, to_y), from.At(x, y), static_cast<size_t>(from.channels));
}

/// The binomial coefficients of 2*radius; they sum to 4^radius.
std::vector<uint64_t> BinomialWeights(int radius) {
  std::vector<uint64_t> weights = {1};
  for (int row = 0; row < 2 * radius; ++row) {
    weights.push_back(0);
    for (size_t i = weights.size() - 1; i > 0; --i) weights[i] += weights[i - 1];
  }
  return weights;
}

/// Blurs along each row and transposes, so that two passes blur both ways and walk memory in rows.
Image BlurRowsAndTranspose(const Image& image, int radius) {
  const std::vector<uint64_t> weights = BinomialWeights(radius);
  const int shift = 2 * radius;
  const uint64_t half = uint64_t{1} << (shift - 1);
  Image result(image.height, image.width, image.channels);
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x) {
      uint64_t sums[3] = {half, half, half};
      for (int k = -radius; k <= radius; ++k) {
        const uint8_t* pixel = image.At(std::clamp(x + k, 0, image.width - 1), y);
        const uint64_t weight = weights[static_cast<size_t>(k + radius)];
        for (int c = 0; c < image.channels; ++c) sums[c] += weight * pixel[c];
      }
      uint8_t* out = result.At(y, x);
      for (int c = 0; c < image.channels; ++c) out[c] = static_cast<uint8_t>(sums[c] >> shift);
    }
  }
  return result;
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
  return BlurRowsAndTranspose(BlurRowsAndTranspose(image, radius), radius);
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
