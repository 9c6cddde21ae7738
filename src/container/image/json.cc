#include "container/image/json.h"

namespace hybridserve {
namespace {

using Json = nlohmann::json;

/// Deepest nesting of brackets outside strings, as far as `text` can be read at all.
size_t Depth(std::string_view text) {
  size_t depth = 0, deepest = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      deepest = std::max(deepest, ++depth);
    } else if ((c == '}' || c == ']') && depth > 0) {
      --depth;
    }
  }
  return deepest;
}

}  // namespace

Result<Json> ParseJson(std::string_view text, size_t max_bytes, const std::string& what) {
  if (text.size() > max_bytes) {
    return Fail(Code::kTooLarge, what + " has " + std::to_string(text.size()) +
                                     " bytes, more than " + std::to_string(max_bytes));
  }
  if (Depth(text) > kMaxJsonDepth) {
    return Fail(Code::kInvalidArgument,
                what + " is nested deeper than " + std::to_string(kMaxJsonDepth) + " levels");
  }
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return Fail(Code::kInvalidArgument, what + " is not a JSON object");
  return json;
}

JsonReader::JsonReader(const Json& object, std::string what)
    : object_(object), what_(std::move(what)) {}

const Json* JsonReader::Find(const char* key) const {
  if (!object_.is_object()) return nullptr;
  const auto found = object_.find(key);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

tl::unexpected<Error> JsonReader::WrongType(const char* key, const char* wanted) const {
  return Fail(Code::kInvalidArgument, what_ + ": '" + key + "' is not " + wanted);
}

Result<> JsonReader::String(const char* key, std::string& out) const {
  const Json* value = Find(key);
  if (value == nullptr) return {};
  if (!value->is_string()) return WrongType(key, "a string");
  out = value->get<std::string>();
  return {};
}

Result<> JsonReader::Strings(const char* key, std::vector<std::string>& out) const {
  const Json* value = Find(key);
  if (value == nullptr) return {};
  if (!value->is_array()) return WrongType(key, "a list of strings");
  out.clear();
  for (const Json& item : *value) {
    if (!item.is_string()) return WrongType(key, "a list of strings");
    out.push_back(item.get<std::string>());
  }
  return {};
}

Result<> JsonReader::StringMap(const char* key, std::map<std::string, std::string>& out) const {
  const Json* value = Find(key);
  if (value == nullptr) return {};
  if (!value->is_object()) return WrongType(key, "an object of strings");
  out.clear();
  for (const auto& [name, item] : value->items()) {
    if (!item.is_string()) return WrongType(key, "an object of strings");
    out[name] = item.get<std::string>();
  }
  return {};
}

Result<> JsonReader::UnsignedList(const char* key, std::vector<uint16_t>& out) const {
  const Json* value = Find(key);
  if (value == nullptr) return {};
  if (!value->is_array()) return WrongType(key, "a list of numbers");
  out.clear();
  for (const Json& item : *value) {
    if (!item.is_number_unsigned() || item.get<uint64_t>() > UINT16_MAX) {
      return WrongType(key, "a list of numbers up to 65535");
    }
    out.push_back(item.get<uint16_t>());
  }
  return {};
}

Result<> JsonReader::Number(const char* key, uint64_t& out, uint64_t max) const {
  const Json* value = Find(key);
  if (value == nullptr) return {};
  if (!value->is_number_unsigned()) return WrongType(key, "a whole number");
  if (value->get<uint64_t>() > max) return WrongType(key, "in range");
  out = value->get<uint64_t>();
  return {};
}

Result<const Json*> JsonReader::Object(const char* key) const {
  const Json* value = Find(key);
  if (value != nullptr && !value->is_object()) return WrongType(key, "an object");
  return value;
}

Result<const Json*> JsonReader::Array(const char* key) const {
  const Json* value = Find(key);
  if (value != nullptr && !value->is_array()) return WrongType(key, "a list");
  return value;
}

}  // namespace hybridserve
