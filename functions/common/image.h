// Image: 8-bit pixels, the operations of FunctionBench's image_processing on them, and JPEG.
//
// Integer arithmetic, but for the resize, whose single-precision sums are in a fixed order: both
// builds of the function give the same bytes (compiled with -ffp-contract=off).
//
// Thread rule: plain values and pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace functions {

struct Image {
  int width = 0;
  int height = 0;
  int channels = 3;             ///< 3: red, green, blue; 1: grey.
  std::vector<uint8_t> pixels;  ///< Row by row from the top, without padding.

  Image() = default;
  Image(int image_width, int image_height, int image_channels);
  [[nodiscard]] const uint8_t* At(int x, int y) const { return &pixels[Offset(x, y)]; }
  [[nodiscard]] uint8_t* At(int x, int y) { return &pixels[Offset(x, y)]; }

 private:
  [[nodiscard]] size_t Offset(int x, int y) const {
    return (static_cast<size_t>(y) * static_cast<size_t>(width) + static_cast<size_t>(x)) *
           static_cast<size_t>(channels);
  }
};

/// Mirrors left and right.
Image Flip(const Image& image);
/// Turns counter-clockwise by 90, 180 or 270 degrees.
Image Rotate(const Image& image, int degrees);
/// A Gaussian of 2*`radius`+1 binomial weights in both directions; edges repeat. `radius` 1..15.
Image Blur(const Image& image, int radius);
/// Luma of ITU-R 601, one channel.
Image Grayscale(const Image& image);
/// To `width` columns; the height keeps the ratio and is at least 1.
Image Resize(const Image& image, int width);

/// Reads a baseline or progressive JPEG as red, green, blue. On failure `why` says what is wrong.
std::optional<Image> DecodeJpeg(std::string_view bytes, uint64_t most_pixels, std::string& why);
/// `quality` 1..100. Empty only when memory is short.
std::string EncodeJpeg(const Image& image, int quality);

}  // namespace functions
