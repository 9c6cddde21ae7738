// FunctionBench's image_processing: decodes the JPEG of the request's body, applies the operations
// in the order asked for, answers with a JPEG.
//
//   ?ops=flip,rotate,blur,grayscale,resize   any of them in any order; this is the default
//   ?angle=90     of rotate: 90, 180 or 270, counter-clockwise
//   ?radius=4     of blur: 1..15 pixels
//   ?width=320    of resize: 1..8192; the default is half of what it was
//   ?quality=90   of the answer's JPEG: 1..100
#include <algorithm>

#include "common/image.h"
#include "common/parameters.h"

namespace {

using functions::Image;

constexpr uint64_t kMostPixels = 16'000'000;
constexpr int kWidestResize = 8192;
constexpr int kMostOperations = 16;
constexpr size_t kLongestList = 200;

/// The query, checked. `wrong` says what is wrong with it; empty when nothing is.
struct Options {
  std::string wrong;
  std::vector<std::string> operations;
  int angle = 90;
  int radius = 4;
  int width = 0;  ///< 0: half of the image's.
  int quality = 90;
};

std::vector<std::string> Split(const std::string& list) {
  std::vector<std::string> items;
  for (size_t start = 0; start <= list.size();) {
    size_t comma = std::min(list.find(',', start), list.size());
    items.push_back(list.substr(start, comma - start));
    start = comma + 1;
  }
  return items;
}

bool IsOperation(const std::string& name) {
  constexpr std::string_view kNames[] = {"flip", "rotate", "blur", "grayscale", "resize"};
  return std::ranges::find(kNames, name) != std::end(kNames);
}

Options ReadOptions(const hs::Request& request) {
  functions::Parameters parameters(request);
  const auto number = [&parameters](const char* name, int otherwise, int lowest, int highest) {
    return static_cast<int>(parameters.Integer(name, otherwise, lowest, highest));
  };
  Options options;
  options.angle = number("angle", 90, 90, 270);
  options.radius = number("radius", 4, 1, 15);
  if (request.Parameter("width")) options.width = number("width", 1, 1, kWidestResize);
  options.quality = number("quality", 90, 1, 100);
  options.operations =
      Split(parameters.Text("ops", "flip,rotate,blur,grayscale,resize", kLongestList));
  options.wrong = parameters.wrong();
  if (options.angle % 90 != 0) options.wrong = "angle: give 90, 180 or 270";
  if (options.operations.size() > kMostOperations) {
    options.wrong = "ops: give at most " + std::to_string(kMostOperations);
  }
  for (const std::string& name : options.operations) {
    if (!IsOperation(name)) {
      options.wrong = "ops: '" + name + "' is none of flip, rotate, blur, grayscale, resize";
    }
  }
  return options;
}

/// Nothing when the resized image would have too many pixels.
std::optional<Image> Apply(Image image, const std::string& operation, const Options& options) {
  if (operation == "flip") return functions::Flip(image);
  if (operation == "rotate") return functions::Rotate(image, options.angle);
  if (operation == "blur") return functions::Blur(image, options.radius);
  if (operation == "grayscale") return functions::Grayscale(image);
  int width = options.width > 0 ? options.width : std::max(image.width / 2, 1);
  uint64_t height = static_cast<uint64_t>(image.height) * static_cast<uint64_t>(width) /
                    static_cast<uint64_t>(image.width);
  if (height * static_cast<uint64_t>(width) > kMostPixels) return std::nullopt;
  return functions::Resize(image, width);
}

}  // namespace

hs::Response Handle(const hs::Request& request) {
  Options options = ReadOptions(request);
  if (!options.wrong.empty()) return hs::Response::Text(options.wrong + "\n", 400);
  if (request.body.empty()) return hs::Response::Text("send a JPEG as the request's body\n", 400);
  std::string why;
  std::optional<Image> image = functions::DecodeJpeg(request.body, kMostPixels, why);
  if (!image) return hs::Response::Text("cannot read the image: " + why + "\n", 422);
  for (const std::string& operation : options.operations) {
    image = Apply(*std::move(image), operation, options);
    if (!image) return hs::Response::Text("width: the resized image would be too large\n", 400);
  }
  return hs::Response::Of("image/jpeg", functions::EncodeJpeg(*image, options.quality));
}
