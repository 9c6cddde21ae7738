#include <toml++/toml.h>

#include "function/settings.h"

namespace hybridserve {

namespace {

using Kind = SettingsNode::Kind;

// Deeper than any document of ours goes; hostile nesting stops here.
constexpr int kMaxDepth = 8;

SettingsNode Convert(const toml::node& from, int depth) {
  SettingsNode node;
  node.line = static_cast<int>(from.source().begin.line);
  if (const auto* table = from.as_table(); table != nullptr && depth < kMaxDepth) {
    node.kind = Kind::kTable;
    for (const auto& [key, value] : *table) {
      SettingsNode item = Convert(value, depth + 1);
      // A key stands where it is written; a table made by a dotted key has no line of its own.
      if (key.source().begin.line > 0) item.line = static_cast<int>(key.source().begin.line);
      node.keys.emplace_back(key.str());
      node.items.push_back(std::move(item));
    }
  } else if (const auto* array = from.as_array(); array != nullptr && depth < kMaxDepth) {
    node.kind = Kind::kList;
    for (const auto& value : *array) node.items.push_back(Convert(value, depth + 1));
  } else if (const auto* text = from.as_string()) {
    node.kind = Kind::kText;
    node.text = text->get();
  } else if (const auto* integer = from.as_integer()) {
    node.kind = Kind::kInteger;
    node.integer = integer->get();
  } else if (const auto* number = from.as_floating_point()) {
    node.kind = Kind::kFloat;
    node.number = number->get();
  } else if (const auto* boolean = from.as_boolean()) {
    node.kind = Kind::kBoolean;
    node.boolean = boolean->get();
  } else {
    node.kind = Kind::kOther;
  }
  return node;
}

}  // namespace

Result<SettingsNode> ParseTomlSettings(std::string_view text, std::string_view file) {
  // The parser recurses once a dot of a key, so the text's size bounds its stack.
  constexpr size_t kMaxBytes = 64 * 1024;
  if (text.size() > kMaxBytes) {
    return Fail(Code::kTooLarge, std::string(file) + " has " + std::to_string(text.size()) +
                                     " bytes; at most " + std::to_string(kMaxBytes) +
                                     " are allowed");
  }
  try {
    const toml::table table = toml::parse(text);
    return Convert(table, 0);
  } catch (const toml::parse_error& error) {
    return Fail(Code::kInvalidArgument, std::string(file) + ":" +
                                            std::to_string(error.source().begin.line) + ": " +
                                            std::string(error.description()));
  }
}

}  // namespace hybridserve
