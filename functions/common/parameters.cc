#include "common/parameters.h"

#include <nlohmann/json.hpp>

namespace functions {

bool IsJson(const hs::Request& request) {
  std::string_view type = request.HeaderValue("content-type");
  type = type.substr(0, type.find(';'));
  while (!type.empty() && type.back() == ' ') type.remove_suffix(1);
  return type == "application/json";
}

Parameters::Parameters(const hs::Request& request) : request_(request) {
  if (!IsJson(request) || request.body.empty()) return;
  const auto body = nlohmann::json::parse(request.body, nullptr, /*allow_exceptions=*/false);
  if (!body.is_object()) {
    wrong_ = "body: give a JSON object, such as {\"n\": 100}";
    return;
  }
  for (const auto& [name, value] : body.items()) {
    // What is no plain value is none that a parameter could have; its depth is up to the client.
    if (value.is_structured()) {
      body_[name] = "{}";
    } else {
      body_[name] = value.is_string() ? value.get<std::string>() : value.dump();
    }
  }
}

std::optional<std::string> Parameters::Find(std::string_view name) const {
  if (std::optional<std::string> value = request_.Parameter(name)) return value;
  const auto found = body_.find(name);
  if (found == body_.end()) return std::nullopt;
  return found->second;
}

void Parameters::Wrong(std::string_view name, const std::string& advice) {
  if (wrong_.empty()) wrong_ = std::string(name) + ": " + advice;
}

long long Parameters::Integer(std::string_view name, long long otherwise, long long lowest,
                              long long highest) {
  const std::optional<std::string> text = Find(name);
  if (!text) return otherwise;
  if (const std::optional<long long> value = hs::ParseInteger(*text, lowest, highest)) {
    return *value;
  }
  Wrong(name, "give a whole number from " + std::to_string(lowest) + " to " +
                  std::to_string(highest));
  return otherwise;
}

std::string Parameters::Text(std::string_view name, std::string_view otherwise, size_t longest) {
  std::optional<std::string> text = Find(name);
  if (text && text->size() <= longest) return *std::move(text);
  if (text) Wrong(name, "give at most " + std::to_string(longest) + " bytes");
  return std::string(otherwise);
}

hs::Response Parameters::BadRequest() const { return hs::Response::Text(wrong_ + "\n", 400); }

}  // namespace functions
