// ClipReader: the frames of a YUV4MPEG2 (Y4M) clip, the raw video that ffmpeg and mpv write.
//
// A clip is a line "YUV4MPEG2 W<width> H<height> ..." and, for each frame, a line "FRAME ..." and
// its planes: luma, then chroma. 8-bit clips of the colour spaces 420*, 422, 444 and mono are read.
// Source: yuv4mpeg(5) of the MJPEG tools.
//
// Thread rule: a plain value that points into the clip's bytes, which outlive it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

class ClipReader {
 public:
  /// Reads the first line. Nothing when it is no Y4M clip that this class reads, or has frames of
  /// more than `most_pixels`; `why` says what is wrong then.
  static std::optional<ClipReader> Open(std::string_view bytes, uint64_t most_pixels,
                                        std::string& why);

  /// The next frame's luma, width * height bytes. Nothing at the clip's end, and when what follows
  /// is no whole frame: `why` is not empty then.
  std::optional<std::string_view> NextLuma(std::string& why);

  [[nodiscard]] int width() const { return width_; }
  [[nodiscard]] int height() const { return height_; }
  /// Whether luma is 16..235 (the rule of ITU-R 601) and not 0..255.
  [[nodiscard]] bool studio_range() const { return studio_range_; }

 private:
  explicit ClipReader(std::string_view rest) : rest_(rest) {}
  /// Takes one word of the first line. False when it is wrong.
  bool ReadWord(std::string_view word, std::string& why);
  bool ReadColourSpace(std::string_view name, std::string& why);
  [[nodiscard]] size_t LumaBytes() const;
  [[nodiscard]] size_t ChromaBytes() const;

  std::string_view rest_;
  int width_ = 0;
  int height_ = 0;
  int chroma_across_ = 2;  // Luma columns to one of chroma; 0: no chroma.
  int chroma_down_ = 2;
  bool studio_range_ = true;
};

/// Luma of 16..235 spread over 0..255; what lies outside is clamped.
uint8_t FullRange(uint8_t luma);

/// A clip of noise over gradients that move, for want of a real one: `frames` of width x height in
/// colour space mono, full range.
std::string MakeClip(int frames, int width, int height, uint64_t seed);
