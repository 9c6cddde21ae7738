#include "clip.h"

#include <hybridserve/function.h>

#include <algorithm>

#include "common/random.h"

namespace {

constexpr std::string_view kMagic = "YUV4MPEG2";
constexpr std::string_view kFrame = "FRAME";
constexpr size_t kLongestLine = 1024;
constexpr long long kLargestSide = 16384;  // So that no product of sides overflows.

/// Takes a line, which begins with `word`, off `text`; its '\n' is not part of it.
std::optional<std::string_view> TakeLine(std::string_view& text, std::string_view word) {
  const size_t end = text.substr(0, kLongestLine).find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view line = text.substr(0, end);
  if (!line.starts_with(word)) return std::nullopt;
  if (line.size() > word.size() && line[word.size()] != ' ') return std::nullopt;
  text.remove_prefix(end + 1);
  return line;
}

std::string_view TakeWord(std::string_view& line) {
  const std::string_view word = line.substr(0, line.find(' '));
  line.remove_prefix(std::min(line.size(), word.size() + 1));
  return word;
}

bool ReadSide(std::string_view digits, int& side) {
  const std::optional<long long> value = hs::ParseInteger(digits, 1, kLargestSide);
  side = static_cast<int>(value.value_or(0));
  return value.has_value();
}

}  // namespace

std::optional<ClipReader> ClipReader::Open(std::string_view bytes, uint64_t most_pixels,
                                           std::string& why) {
  std::optional<std::string_view> line = TakeLine(bytes, kMagic);
  if (!line) {
    why = "it does not begin with a line of YUV4MPEG2";
    return std::nullopt;
  }
  ClipReader clip(bytes);
  TakeWord(*line);
  while (!line->empty()) {
    if (!clip.ReadWord(TakeWord(*line), why)) return std::nullopt;
  }
  if (clip.width_ == 0 || clip.height_ == 0) {
    why = "its first line has no width (W) or no height (H)";
    return std::nullopt;
  }
  if (clip.LumaBytes() > most_pixels) {
    why = std::to_string(clip.width_) + "x" + std::to_string(clip.height_) +
          " is over the limit of " + std::to_string(most_pixels) + " pixels a frame";
    return std::nullopt;
  }
  return clip;
}

bool ClipReader::ReadWord(std::string_view word, std::string& why) {
  if (word.empty()) return true;
  const std::string_view value = word.substr(1);
  if (word[0] == 'C') return ReadColourSpace(value, why);
  if (word == "XCOLORRANGE=FULL") studio_range_ = false;
  if ((word[0] == 'W' && !ReadSide(value, width_)) ||
      (word[0] == 'H' && !ReadSide(value, height_))) {
    why = "'" + std::string(word) + "' is no side from 1 to " + std::to_string(kLargestSide);
    return false;
  }
  return true;
}

bool ClipReader::ReadColourSpace(std::string_view name, std::string& why) {
  constexpr std::string_view k420[] = {"420", "420jpeg", "420paldv", "420mpeg2"};
  if (std::ranges::find(k420, name) != std::end(k420)) return true;
  if (name != "422" && name != "444" && name != "mono") {
    why = "colour space '" + std::string(name) + "' is none of 420, 422, 444, mono with 8 bits";
    return false;
  }
  chroma_down_ = 1;
  chroma_across_ = name == "mono" ? 0 : name == "444" ? 1 : 2;
  return true;
}

size_t ClipReader::LumaBytes() const {
  return static_cast<size_t>(width_) * static_cast<size_t>(height_);
}

size_t ClipReader::ChromaBytes() const {
  if (chroma_across_ == 0) return 0;
  const int columns = (width_ + chroma_across_ - 1) / chroma_across_;
  const int rows = (height_ + chroma_down_ - 1) / chroma_down_;
  return 2 * static_cast<size_t>(columns) * static_cast<size_t>(rows);
}

std::optional<std::string_view> ClipReader::NextLuma(std::string& why) {
  if (rest_.empty()) return std::nullopt;
  if (!TakeLine(rest_, kFrame)) {
    why = "a frame does not begin with a line of FRAME";
    return std::nullopt;
  }
  if (rest_.size() < LumaBytes() + ChromaBytes()) {
    why = "its last frame has " + std::to_string(rest_.size()) + " of " +
          std::to_string(LumaBytes() + ChromaBytes()) + " bytes";
    return std::nullopt;
  }
  const std::string_view luma = rest_.substr(0, LumaBytes());
  rest_.remove_prefix(LumaBytes() + ChromaBytes());
  return luma;
}

uint8_t FullRange(uint8_t luma) {
  return static_cast<uint8_t>((std::clamp<int>(luma, 16, 235) - 16) * 255 / 219);
}

std::string MakeClip(int frames, int width, int height, uint64_t seed) {
  functions::Random random(seed);
  std::string clip = "YUV4MPEG2 W" + std::to_string(width) + " H" + std::to_string(height) +
                     " F25:1 Ip A1:1 Cmono XCOLORRANGE=FULL\n";
  const size_t pixels = static_cast<size_t>(width) * static_cast<size_t>(height);
  clip.reserve(clip.size() + static_cast<size_t>(frames) * (pixels + 6));
  for (int frame = 0; frame < frames; ++frame) {
    clip += "FRAME\n";
    for (int y = 0; y < height; ++y) {
      uint64_t noise = random.Next();
      for (int x = 0; x < width; ++x) {
        noise = (noise << 7) | (noise >> 57);
        const int moving = (x + 3 * frame) ^ (y + 2 * frame);
        clip +=
            static_cast<char>(((moving & 0xe0) | (x >> 4 & 0x1c)) + static_cast<int>(noise & 3));
      }
    }
  }
  return clip;
}
