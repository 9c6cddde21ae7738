#include "function/units.h"

#include <array>
#include <charconv>
#include <cstdio>
#include <limits>

namespace hybridserve {

namespace {

struct Unit {
  std::string_view suffix;
  uint64_t factor;
};

// Largest first: formatting takes the first that divides, parsing the one whose suffix is equal.
constexpr std::array kSizes = {Unit{"TiB", 1ull << 40}, Unit{"GiB", 1ull << 30},
                               Unit{"MiB", 1ull << 20}, Unit{"KiB", 1ull << 10}, Unit{"B", 1}};
constexpr std::array kDurations = {Unit{"h", 3600 * 1000}, Unit{"m", 60 * 1000}, Unit{"s", 1000},
                                   Unit{"ms", 1}};

enum class Parsed { kOk, kNotANumber, kNoUnit, kUnknownUnit, kTooLarge };

template <size_t kCount>
Parsed Parse(std::string_view text, const std::array<Unit, kCount>& units, uint64_t& out) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc::result_out_of_range) return Parsed::kTooLarge;
  if (error != std::errc()) return Parsed::kNotANumber;
  const std::string_view suffix = text.substr(static_cast<size_t>(end - text.data()));
  out = number;
  if (suffix.empty()) return Parsed::kNoUnit;
  for (const Unit& unit : units) {
    if (suffix != unit.suffix) continue;
    // Signed 64 bits hold every value that leaves here.
    if (number > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) / unit.factor) {
      return Parsed::kTooLarge;
    }
    out = number * unit.factor;
    return Parsed::kOk;
  }
  return Parsed::kUnknownUnit;
}

template <size_t kCount>
std::string Format(uint64_t value, const std::array<Unit, kCount>& units) {
  for (const Unit& unit : units) {
    if (value % unit.factor == 0 && value >= unit.factor) {
      return std::to_string(value / unit.factor) + std::string(unit.suffix);
    }
  }
  return std::to_string(value) + std::string(units.back().suffix);
}

// The largest border of a UTF-8 character in `text` that is not past `max_bytes`.
size_t CharacterBorder(std::string_view text, size_t max_bytes) {
  if (text.size() <= max_bytes) return text.size();
  size_t border = max_bytes;
  while (border > 0 && (static_cast<unsigned char>(text[border]) & 0xc0) == 0x80) --border;
  return border;
}

}  // namespace

Result<uint64_t> ParseSize(std::string_view text) {
  uint64_t bytes = 0;
  switch (Parse(text, kSizes, bytes)) {
    case Parsed::kOk:
      return bytes;
    case Parsed::kNoUnit:
      if (bytes <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return bytes;
      [[fallthrough]];
    case Parsed::kTooLarge:
      return Fail(Code::kInvalidArgument, Quote(text) + " is too large for a size");
    case Parsed::kNotANumber:
    case Parsed::kUnknownUnit:
      break;
  }
  return Fail(Code::kInvalidArgument,
              Quote(text) +
                  " is not a size; write bytes or a whole number of KiB, MiB, GiB or TiB, "
                  "such as \"128MiB\"");
}

Result<std::chrono::milliseconds> ParseDuration(std::string_view text) {
  uint64_t value = 0;
  switch (Parse(text, kDurations, value)) {
    case Parsed::kOk:
      return std::chrono::milliseconds(static_cast<int64_t>(value));
    case Parsed::kTooLarge:
      return Fail(Code::kInvalidArgument, Quote(text) + " is too large for a duration");
    case Parsed::kNotANumber:
    case Parsed::kNoUnit:
    case Parsed::kUnknownUnit:
      break;
  }
  return Fail(Code::kInvalidArgument,
              Quote(text) +
                  " is not a duration; write a whole number of ms, s, m or h, such as "
                  "\"30s\"");
}

std::string FormatSize(uint64_t bytes) { return Format(bytes, kSizes); }

std::string FormatDuration(std::chrono::milliseconds duration) {
  return Format(static_cast<uint64_t>(duration.count()), kDurations);
}

std::string Quote(std::string_view text, size_t max_bytes) {
  std::string quoted = "'";
  for (const char character : text.substr(0, CharacterBorder(text, max_bytes))) {
    const auto byte = static_cast<unsigned char>(character);
    if (byte < 0x20 || byte == 0x7f) {
      char escaped[5];
      std::snprintf(escaped, sizeof(escaped), "\\x%02x", byte);
      quoted += escaped;
    } else {
      quoted += character;
    }
  }
  if (text.size() > max_bytes) quoted += "...";
  return quoted + "'";
}

}  // namespace hybridserve
