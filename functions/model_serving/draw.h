// The images that the CNN knows: one shape each on a noisy ground, drawn from a seed.
// make_weights.py draws the same ones.
//
// Thread rule: pure functions.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

constexpr int kSide = 32;
constexpr std::array<std::string_view, 6> kShapes = {"disc",  "ring",     "square",
                                                     "cross", "triangle", "stripes"};

/// Grey pixels, row by row.
using Picture = std::array<uint8_t, kSide * kSide>;

struct Drawing {
  Picture picture;
  int shape;  ///< Index into kShapes.
};

Drawing Draw(uint64_t seed);
