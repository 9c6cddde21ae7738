#include "cli/format.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <string_view>

namespace hybridserve::cli {
namespace {

using std::chrono::microseconds;

std::string Fixed(double value, int decimals, std::string_view unit) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%.*f ", decimals, value);
  return text.data() + std::string(unit);
}

/// "2 min 5 s", without the smaller unit when it is 0.
std::string TwoUnits(int64_t value, int64_t ratio, std::string_view large, std::string_view small) {
  std::string text = std::to_string(value / ratio) + " " + std::string(large);
  if (value % ratio != 0) text += " " + std::to_string(value % ratio) + " " + std::string(small);
  return text;
}

}  // namespace

std::string HumanBytes(uint64_t bytes) {
  constexpr std::array<std::string_view, 5> kUnits = {"KiB", "MiB", "GiB", "TiB", "PiB"};
  if (bytes < 1024) return std::to_string(bytes) + " B";
  double value = static_cast<double>(bytes) / 1024;
  size_t unit = 0;
  // 1023.95 would be printed as "1024.0".
  for (; value >= 1023.95 && unit + 1 < kUnits.size(); ++unit) value /= 1024;
  return Fixed(value, 1, kUnits[unit]);
}

std::string HumanDuration(microseconds duration) {
  const auto us = duration.count();
  const double ms = static_cast<double>(us) / 1000;
  if (us < 10'000) return Fixed(ms, 3, "ms");
  if (us < 999'950) return Fixed(ms, 1, "ms");
  if (us < 59'995'000) return Fixed(ms / 1000, 2, "s");
  const int64_t seconds = (us + 500'000) / 1'000'000;
  if (seconds < 3600) return TwoUnits(seconds, 60, "min", "s");
  if (seconds < 86400) return TwoUnits(seconds / 60, 60, "h", "min");
  return TwoUnits(seconds / 3600, 24, "d", "h");
}

std::string HumanAge(std::chrono::system_clock::time_point then,
                     std::chrono::system_clock::time_point now) {
  const int64_t seconds = std::chrono::duration_cast<std::chrono::seconds>(now - then).count();
  if (seconds < 1) return "just now";
  if (seconds < 60) return std::to_string(seconds) + " s ago";
  if (seconds < 3600) return std::to_string(seconds / 60) + " min ago";
  if (seconds < 86400) return std::to_string(seconds / 3600) + " h ago";
  return std::to_string(seconds / 86400) + " d ago";
}

}  // namespace hybridserve::cli
