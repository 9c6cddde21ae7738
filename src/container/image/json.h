// Bounded JSON: what an image's own documents are read with. Size and depth are limited before the
// parser sees a byte, and every accessor checks the type it finds.
//
// Thread rule: plain values.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace hybridserve {

inline constexpr size_t kMaxJsonDepth = 32;

/// One JSON object. `what` names the document in errors.
/// Errors: kTooLarge over `max_bytes`; kInvalidArgument no JSON, no object, or nested deeper than
/// kMaxJsonDepth.
Result<nlohmann::json> ParseJson(std::string_view text, size_t max_bytes, const std::string& what);

/// Reads keys of one object. A key that is absent or null leaves the destination alone; one of the
/// wrong type, or a number out of range, is kInvalidArgument naming document and key.
class JsonReader {
 public:
  /// `object` outlives the reader. A value that is not an object reads as an empty one.
  JsonReader(const nlohmann::json& object, std::string what);

  Result<> String(const char* key, std::string& out) const;
  Result<> Strings(const char* key, std::vector<std::string>& out) const;
  Result<> StringMap(const char* key, std::map<std::string, std::string>& out) const;
  Result<> UnsignedList(const char* key, std::vector<uint16_t>& out) const;
  template <typename T>
  Result<> Unsigned(const char* key, T& out, uint64_t max) const {
    uint64_t value = out;
    TRY(Number(key, value, max));
    out = static_cast<T>(value);
    return {};
  }
  /// The object or array under `key`; nullptr when it is absent or null.
  Result<const nlohmann::json*> Object(const char* key) const;
  Result<const nlohmann::json*> Array(const char* key) const;

 private:
  [[nodiscard]] const nlohmann::json* Find(const char* key) const;
  [[nodiscard]] tl::unexpected<Error> WrongType(const char* key, const char* wanted) const;
  Result<> Number(const char* key, uint64_t& out, uint64_t max) const;

  const nlohmann::json& object_;
  std::string what_;
};

}  // namespace hybridserve
