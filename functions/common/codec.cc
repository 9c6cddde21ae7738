// JPEG and the resize, by stb (Debian's libstb-dev). Without its SIMD paths, whose results differ
// from the plain ones in single bits.
#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_JPEG
#define STBI_NO_STDIO
#define STBI_NO_SIMD
#include <stb_image.h>

#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#define STBI_WRITE_NO_STDIO
#include <stb_image_write.h>

#define STB_IMAGE_RESIZE_IMPLEMENTATION
#define STB_IMAGE_RESIZE_STATIC
#include <stb_image_resize.h>

#include <algorithm>

#include "common/image.h"

namespace functions {

std::optional<Image> DecodeJpeg(std::string_view bytes, uint64_t most_pixels, std::string& why) {
  const auto* data = reinterpret_cast<const stbi_uc*>(bytes.data());
  const int size = static_cast<int>(std::min<size_t>(bytes.size(), INT32_MAX));
  int width = 0;
  int height = 0;
  int channels = 0;
  if (stbi_info_from_memory(data, size, &width, &height, &channels) == 0) {
    why = "not a JPEG";
    return std::nullopt;
  }
  if (static_cast<uint64_t>(width) * static_cast<uint64_t>(height) > most_pixels) {
    why = std::to_string(width) + "x" + std::to_string(height) + " is over the limit of " +
          std::to_string(most_pixels) + " pixels";
    return std::nullopt;
  }
  stbi_uc* pixels = stbi_load_from_memory(data, size, &width, &height, &channels, 3);
  if (pixels == nullptr) {
    why = stbi_failure_reason();
    return std::nullopt;
  }
  Image image(width, height, 3);
  std::copy_n(pixels, image.pixels.size(), image.pixels.begin());
  stbi_image_free(pixels);
  return image;
}

std::string EncodeJpeg(const Image& image, int quality) {
  std::string bytes;
  bytes.reserve(4096);
  // stb hands over what it encodes byte by byte.
  auto append = [](void* to, void* data, int size) {
    auto& out = *static_cast<std::string*>(to);
    const char* from = static_cast<const char*>(data);
    if (size == 1) {
      out.push_back(*from);
    } else {
      out.append(from, static_cast<size_t>(size));
    }
  };
  stbi_write_jpg_to_func(append, &bytes, image.width, image.height, image.channels,
                         image.pixels.data(), quality);
  return bytes;
}

Image Resize(const Image& image, int width) {
  const int64_t scaled = int64_t{image.height} * width / image.width;
  Image result(width, static_cast<int>(std::max<int64_t>(scaled, 1)), image.channels);
  stbir_resize_uint8(image.pixels.data(), image.width, image.height, 0, result.pixels.data(),
                     result.width, result.height, 0, result.channels);
  return result;
}

}  // namespace functions
