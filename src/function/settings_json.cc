#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "function/settings.h"
#include "function/units.h"

namespace hybridserve {

namespace {

using Json = nlohmann::ordered_json;  // Written in the order of the description.
using ParsedJson = nlohmann::json;    // Read in whatever order; its tables look up in log time.
using Kind = SettingsNode::Kind;

// Deeper than any document of ours goes; hostile nesting stops here.
constexpr int kMaxDepth = 8;

SettingsNode Convert(const ParsedJson& from, int depth) {
  SettingsNode node;
  node.kind = Kind::kOther;
  if (from.is_object() && depth < kMaxDepth) {
    node.kind = Kind::kTable;
    for (const auto& [key, value] : from.items()) {
      node.keys.push_back(key);
      node.items.push_back(Convert(value, depth + 1));
    }
  } else if (from.is_array() && depth < kMaxDepth) {
    node.kind = Kind::kList;
    for (const ParsedJson& value : from) node.items.push_back(Convert(value, depth + 1));
  } else if (from.is_string()) {
    node.kind = Kind::kText;
    node.text = from.get<std::string>();
  } else if (from.is_number_integer() &&
             (!from.is_number_unsigned() ||
              from.get<uint64_t>() <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))) {
    node.kind = Kind::kInteger;
    node.integer = from.get<int64_t>();
  } else if (from.is_number()) {
    node.kind = Kind::kFloat;
    node.number = from.get<double>();
  } else if (from.is_boolean()) {
    node.kind = Kind::kBoolean;
    node.boolean = from.get<bool>();
  }
  return node;
}

// Writes whatever is visited, section by section.
class JsonWriter : public SettingsVisitor {
 public:
  void Text(std::string_view key, std::string& value, const TextCheck&) override {
    At(key) = value;
  }
  void Flag(std::string_view key, bool& value) override { At(key) = value; }
  void Count(std::string_view key, uint32_t& value, uint32_t, uint32_t) override {
    At(key) = value;
  }
  void Number(std::string_view key, double& value, double, double) override { At(key) = value; }
  void Size(std::string_view key, uint64_t& value, uint64_t, uint64_t) override { At(key) = value; }
  void Duration(std::string_view key, std::chrono::milliseconds& value, std::chrono::milliseconds,
                std::chrono::milliseconds) override {
    At(key) = FormatDuration(value);
  }
  void TextList(std::string_view key, std::vector<std::string>& value, const TextCheck&) override {
    At(key) = value;
  }
  void TextMap(std::string_view key, std::map<std::string, std::string>& value, const TextCheck&,
               const TextCheck&) override {
    Json& table = At(key) = Json::object();
    for (const auto& [name, text] : value) table[name] = text;
  }
  using SettingsVisitor::Section;
  void Section(std::string_view key, bool& present, const std::function<void()>& body) override {
    if (!present) return;
    Json& table = At(key) = Json::object();
    Within(table, body);
  }
  void TableList(std::string_view key, size_t count, const std::function<void(size_t)>&,
                 const std::function<void(size_t)>& body) override {
    Json list = Json::array();
    for (size_t i = 0; i < count; ++i) {
      Json table = Json::object();
      Within(table, [&body, i] { body(i); });
      list.push_back(std::move(table));
    }
    At(key) = std::move(list);
  }
  void Complain(std::string_view, std::string) override {}

  [[nodiscard]] std::string Finish() const {
    return root_.dump(-1, ' ', false, Json::error_handler_t::replace);
  }

 protected:
  void Word(std::string_view key, std::optional<size_t>& index,
            const std::vector<std::string_view>& words) override {
    if (index) At(key) = words[*index];
  }

 private:
  Json& At(std::string_view key) { return (*table_)[std::string(key)]; }

  void Within(Json& table, const std::function<void()>& body) {
    Json* const outer = std::exchange(table_, &table);
    body();
    table_ = outer;
  }

  Json root_ = Json::object();
  Json* table_ = &root_;
};

}  // namespace

Result<SettingsNode> ParseJsonSettings(std::string_view text, std::string_view document) {
  try {
    const ParsedJson json = ParsedJson::parse(text);
    if (!json.is_object()) {
      return Fail(Code::kInvalidArgument, std::string(document) + " is not a JSON object");
    }
    return Convert(json, 0);
  } catch (const ParsedJson::parse_error& error) {
    return Fail(Code::kInvalidArgument,
                std::string(document) + " is not JSON (byte " + std::to_string(error.byte) + ")");
  } catch (const ParsedJson::out_of_range&) {
    return Fail(Code::kInvalidArgument,
                std::string(document) + " holds a number that is too large for any setting");
  }
}

std::string SettingsToJson(const std::function<void(SettingsVisitor&)>& describe) {
  JsonWriter writer;
  describe(writer);
  return writer.Finish();
}

}  // namespace hybridserve
