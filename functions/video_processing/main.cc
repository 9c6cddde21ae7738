// FunctionBench's video_processing: each frame of a clip becomes grey, is resized and encoded as a
// JPEG; the answer is the JPEGs one after another, a Motion-JPEG stream.
//
//   body          a Y4M clip; without one, a clip is made:
//   ?frames=30&width=320&height=240&seed=1
//   ?columns=160  of the answer's frames; the default is half of the clip's
//   ?quality=75   of the answer's JPEGs: 1..100
#include <algorithm>

#include "clip.h"
#include "common/image.h"
#include "common/parameters.h"

namespace {

using functions::Image;

constexpr uint64_t kMostPixelsOfAFrame = 2048 * 2048;
constexpr uint64_t kMostPixels = 32'000'000;  // Of all frames.
constexpr int kWidestFrame = 2048;
constexpr int kMostFrames = 1000;

struct Options {
  int frames = 0;
  int width = 0;
  int height = 0;
  uint64_t seed = 0;
  int columns = 0;  ///< 0: half of the clip's.
  int quality = 0;
};

Options ReadOptions(functions::Parameters& parameters) {
  const auto number = [&parameters](const char* name, int otherwise, int lowest, int highest) {
    return static_cast<int>(parameters.Integer(name, otherwise, lowest, highest));
  };
  Options options;
  options.frames = number("frames", 30, 1, kMostFrames);
  options.width = number("width", 320, 1, kWidestFrame);
  options.height = number("height", 240, 1, kWidestFrame);
  options.seed = static_cast<uint64_t>(parameters.Integer("seed", 1, 0, INT64_MAX));
  options.columns = number("columns", 0, 0, kWidestFrame);
  options.quality = number("quality", 75, 1, 100);
  return options;
}

uint64_t Pixels(int width, int height) {
  return static_cast<uint64_t>(width) * static_cast<uint64_t>(height);
}

Image Grey(const ClipReader& clip, std::string_view luma) {
  Image image(clip.width(), clip.height(), 1);
  std::copy(luma.begin(), luma.end(), image.pixels.begin());
  if (clip.studio_range()) std::ranges::transform(image.pixels, image.pixels.begin(), FullRange);
  return image;
}

hs::Response Process(std::string_view bytes, const Options& options) {
  std::string why;
  std::optional<ClipReader> clip = ClipReader::Open(bytes, kMostPixelsOfAFrame, why);
  if (!clip) return hs::Response::Text("cannot read the clip: " + why + "\n", 422);
  const int columns = std::min(
      options.columns > 0 ? options.columns : std::max(clip->width() / 2, 1), clip->width());
  const uint64_t most_frames =
      std::min<uint64_t>(kMostFrames, kMostPixels / Pixels(clip->width(), clip->height()));
  std::string stream;
  uint64_t frames = 0;
  while (const std::optional<std::string_view> luma = clip->NextLuma(why)) {
    if (++frames > most_frames) {
      why = "it has more than " + std::to_string(most_frames) + " frames";
      break;
    }
    stream +=
        functions::EncodeJpeg(functions::Resize(Grey(*clip, *luma), columns), options.quality);
  }
  if (why.empty() && stream.empty()) why = "it has no frame";
  if (!why.empty()) return hs::Response::Text("cannot read the clip: " + why + "\n", 422);
  return hs::Response::Of("video/x-motion-jpeg", std::move(stream));
}

}  // namespace

hs::Response Handle(const hs::Request& request) {
  functions::Parameters parameters(request);
  const Options options = ReadOptions(parameters);
  if (!parameters.ok()) return parameters.BadRequest();
  if (!request.body.empty() && !functions::IsJson(request)) return Process(request.body, options);
  if (Pixels(options.width, options.height) * static_cast<uint64_t>(options.frames) > kMostPixels) {
    return hs::Response::Text("frames: width * height * frames is over 32000000\n", 400);
  }
  return Process(MakeClip(options.frames, options.width, options.height, options.seed), options);
}
