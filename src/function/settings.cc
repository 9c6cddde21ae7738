#include "function/settings.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "function/units.h"

namespace hybridserve {

using Kind = SettingsNode::Kind;

namespace {

std::string FormatNumber(double number) {
  char text[32];
  const auto [end, error] = std::to_chars(text, text + sizeof(text), number);
  return error == std::errc() ? std::string(text, end) : std::string("?");
}

// A value as an error names it: "limits.memory is true; ...".
std::string Describe(const SettingsNode& node) {
  switch (node.kind) {
    case Kind::kBoolean:
      return node.boolean ? "true" : "false";
    case Kind::kInteger:
      return std::to_string(node.integer);
    case Kind::kFloat:
      return FormatNumber(node.number);
    case Kind::kText:
      return Quote(node.text);
    case Kind::kList:
      return "a list";
    case Kind::kTable:
      return "a table";
    case Kind::kOther:
      return "of no type that is used here";
  }
  return "";
}

template <typename T>
std::optional<T> NumberFromText(std::string_view text) {
  T number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// A list as an environment variable holds it, like PATH: "/a:/b".
SettingsNode SplitAtColons(const SettingsNode& node) {
  SettingsNode list;
  list.kind = Kind::kList;
  std::string_view rest = node.text;
  while (!rest.empty()) {
    SettingsNode item;
    item.kind = Kind::kText;
    item.text = rest.substr(0, rest.find(':'));
    item.origin = node.origin;
    rest.remove_prefix(std::min(rest.size(), item.text.size() + 1));
    list.items.push_back(std::move(item));
  }
  return list;
}

std::string Join(const std::vector<std::string_view>& words) {
  std::string joined;
  for (const std::string_view word : words) {
    if (!joined.empty()) joined += ", ";
    joined += word;
  }
  return joined;
}

// The number of insertions, deletions, replacements and swaps of neighbours between a and b.
size_t Distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<size_t>> d(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replace = d[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, replace});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
      }
    }
  }
  return d[a.size()][b.size()];
}

}  // namespace

std::optional<std::string_view> Nearest(std::string_view word,
                                        const std::vector<std::string_view>& words) {
  if (word.size() > 40) return std::nullopt;
  std::optional<std::string_view> nearest;
  size_t best = std::max<size_t>(1, word.size() / 3) + 1;
  for (const std::string_view candidate : words) {
    const size_t distance = Distance(word, candidate);
    if (distance >= best) continue;
    best = distance;
    nearest = candidate;
  }
  return nearest;
}

const SettingsNode* SettingsNode::Find(std::string_view key) const {
  const auto found = std::find(keys.begin(), keys.end(), key);
  return found == keys.end() ? nullptr : &items[static_cast<size_t>(found - keys.begin())];
}

void SettingsNode::Set(std::string key, SettingsNode value) {
  const auto found = std::find(keys.begin(), keys.end(), key);
  if (found == keys.end()) {
    keys.push_back(std::move(key));
    items.push_back(std::move(value));
  } else {
    items[static_cast<size_t>(found - keys.begin())] = std::move(value);
  }
}

struct SettingsReader::Frame {
  const SettingsNode* table;
  std::string path;  // "limits", "folders[0]"; empty at the root.
  std::vector<std::string_view> asked;
};

SettingsReader::SettingsReader(const SettingsNode& root, std::string document)
    : document_(std::move(document)) {
  frames_.push_back({&root, "", {}});
}

SettingsReader::~SettingsReader() = default;

std::string SettingsReader::Path(std::string_view key) const {
  const std::string& path = frames_.back().path;
  return path.empty() ? std::string(key) : path + "." + std::string(key);
}

void SettingsReader::Report(std::optional<Failure>& place, const SettingsNode& node,
                            std::string sentence) {
  if (place && place->line <= node.line) return;
  std::string where = node.origin.empty() ? document_ : node.origin;
  if (node.line > 0) where += ":" + std::to_string(node.line);
  place = Failure{where + ": " + std::move(sentence), node.line};
}

void SettingsReader::ReportAt(const SettingsNode& node, std::string sentence) {
  Report(bad_value_, node, std::move(sentence));
}

void SettingsReader::ReportOutOfRange(const SettingsNode& node, std::string_view key,
                                      const std::string& value, const std::string& min,
                                      const std::string& max) {
  ReportAt(node, Path(key) + " is " + value + "; it must be from " + min + " to " + max);
}

void SettingsReader::Complain(std::string_view key, std::string sentence) {
  const SettingsNode* node = frames_.back().table->Find(key);
  Report(complaint_, node != nullptr ? *node : *frames_.back().table, std::move(sentence));
}

const SettingsNode* SettingsReader::Take(std::string_view key) {
  frames_.back().asked.push_back(key);
  return frames_.back().table->Find(key);
}

const SettingsNode* SettingsReader::TakeKind(std::string_view key, Kind kind,
                                             std::string_view want) {
  const SettingsNode* node = Take(key);
  if (node == nullptr || node->kind == kind) return node;
  ReportAt(*node, Path(key) + " is " + Describe(*node) + "; write " + std::string(want));
  return nullptr;
}

// Leaves the innermost table: whatever it holds beyond the keys asked for is unknown.
void SettingsReader::Leave() {
  const Frame frame = std::move(frames_.back());
  frames_.pop_back();
  for (size_t i = 0; i < frame.table->keys.size(); ++i) {
    const std::string& key = frame.table->keys[i];
    if (std::find(frame.asked.begin(), frame.asked.end(), key) != frame.asked.end()) continue;
    std::string sentence = "unknown key " + Quote(key);
    if (!frame.path.empty()) {
      sentence += " in " + (frame.path.back() == ']' ? frame.path : "[" + frame.path + "]");
    }
    const auto nearest = Nearest(key, frame.asked);
    sentence += nearest ? "; did you mean '" + std::string(*nearest) + "'?"
                        : "; known are " + Join(frame.asked);
    ReportAt(frame.table->items[i], std::move(sentence));
  }
}

void SettingsReader::Text(std::string_view key, std::string& value, const TextCheck& check) {
  const SettingsNode* node = TakeKind(key, Kind::kText, "a string, in quotes");
  if (node == nullptr) return;
  if (const Result<> checked = check(node->text); !checked) {
    return ReportAt(*node, Path(key) + ": " + checked.error().message);
  }
  value = node->text;
}

void SettingsReader::Flag(std::string_view key, bool& value) {
  const SettingsNode* node = Take(key);
  if (node == nullptr) return;
  if (node->kind == Kind::kBoolean) {
    value = node->boolean;
  } else if (!node->origin.empty() && (node->text == "true" || node->text == "false")) {
    value = node->text == "true";
  } else {
    ReportAt(*node, Path(key) + " is " + Describe(*node) + "; write true or false");
  }
}

void SettingsReader::Count(std::string_view key, uint32_t& value, uint32_t min, uint32_t max) {
  const SettingsNode* node = Take(key);
  if (node == nullptr) return;
  std::optional<int64_t> number;
  if (node->kind == Kind::kInteger) number = node->integer;
  if (!node->origin.empty()) number = NumberFromText<int64_t>(node->text);
  if (!number) {
    return ReportAt(
        *node, Path(key) + " is " + Describe(*node) + "; write a whole number, without quotes");
  }
  if (*number < min || *number > max) {
    return ReportOutOfRange(*node, key, std::to_string(*number), std::to_string(min),
                            std::to_string(max));
  }
  value = static_cast<uint32_t>(*number);
}

void SettingsReader::Number(std::string_view key, double& value, double min, double max) {
  const SettingsNode* node = Take(key);
  if (node == nullptr) return;
  std::optional<double> number;
  if (node->kind == Kind::kInteger) number = static_cast<double>(node->integer);
  if (node->kind == Kind::kFloat) number = node->number;
  if (!node->origin.empty()) number = NumberFromText<double>(node->text);
  if (!number) {
    return ReportAt(*node,
                    Path(key) + " is " + Describe(*node) + "; write a number, without quotes");
  }
  if (!std::isfinite(*number) || *number < min || *number > max) {
    return ReportOutOfRange(*node, key, FormatNumber(*number), FormatNumber(min),
                            FormatNumber(max));
  }
  value = *number;
}

void SettingsReader::Size(std::string_view key, uint64_t& value, uint64_t min, uint64_t max) {
  const SettingsNode* node = Take(key);
  if (node == nullptr) return;
  uint64_t bytes = 0;
  if (node->kind == Kind::kInteger && node->integer >= 0) {
    bytes = static_cast<uint64_t>(node->integer);
  } else if (node->kind == Kind::kText) {
    const Result<uint64_t> parsed = ParseSize(node->text);
    if (!parsed) return ReportAt(*node, Path(key) + ": " + parsed.error().message);
    bytes = *parsed;
  } else {
    return ReportAt(*node, Path(key) + " is " + Describe(*node) +
                               "; write a size such as \"128MiB\", or a number of bytes");
  }
  if (bytes < min || bytes > max) {
    return ReportOutOfRange(*node, key, FormatSize(bytes), FormatSize(min), FormatSize(max));
  }
  value = bytes;
}

void SettingsReader::Duration(std::string_view key, std::chrono::milliseconds& value,
                              std::chrono::milliseconds min, std::chrono::milliseconds max) {
  const SettingsNode* node = TakeKind(
      key, Kind::kText, "a duration in quotes with its unit, such as \"30s\" or \"500ms\"");
  if (node == nullptr) return;
  const auto parsed = ParseDuration(node->text);
  if (!parsed) return ReportAt(*node, Path(key) + ": " + parsed.error().message);
  if (*parsed < min || *parsed > max) {
    return ReportOutOfRange(*node, key, FormatDuration(*parsed), FormatDuration(min),
                            FormatDuration(max));
  }
  value = *parsed;
}

void SettingsReader::Word(std::string_view key, std::optional<size_t>& index,
                          const std::vector<std::string_view>& words) {
  const SettingsNode* node = TakeKind(key, Kind::kText, "one of: " + Join(words));
  if (node == nullptr) return;
  const auto found = std::find(words.begin(), words.end(), node->text);
  if (found == words.end()) {
    const auto nearest = Nearest(node->text, words);
    return ReportAt(*node, Path(key) + " is " + Quote(node->text) +
                               (nearest ? "; did you mean \"" + std::string(*nearest) + "\"?"
                                        : "; write one of: " + Join(words)));
  }
  index = static_cast<size_t>(found - words.begin());
}

void SettingsReader::TextList(std::string_view key, std::vector<std::string>& value,
                              const TextCheck& check) {
  const SettingsNode* node = Take(key);
  if (node == nullptr) return;
  SettingsNode list = *node;
  if (!node->origin.empty()) list = SplitAtColons(*node);
  if (list.kind != Kind::kList) {
    return ReportAt(*node,
                    Path(key) + " is " + Describe(*node) + "; write a list of strings: [\"...\"]");
  }
  value.clear();
  for (const SettingsNode& item : list.items) {
    if (item.kind != Kind::kText) {
      return ReportAt(
          item, Path(key) + " holds " + Describe(item) + "; write a list of strings: [\"...\"]");
    }
    if (const Result<> checked = check(item.text); !checked) {
      return ReportAt(item, Path(key) + ": " + checked.error().message);
    }
    value.push_back(item.text);
  }
}

void SettingsReader::TextMap(std::string_view key, std::map<std::string, std::string>& value,
                             const TextCheck& check, const TextCheck& check_value) {
  const SettingsNode* node = TakeKind(key, Kind::kTable, "a table: NAME = \"value\"");
  if (node == nullptr) return;
  value.clear();
  for (size_t i = 0; i < node->keys.size(); ++i) {
    const SettingsNode& item = node->items[i];
    if (item.kind != Kind::kText) {
      ReportAt(item, Path(key) + "." + Quote(node->keys[i]) + " is " + Describe(item) +
                         "; write a string, in quotes");
      continue;
    }
    Result<> checked = check(node->keys[i]);
    if (checked) checked = check_value(item.text);
    if (!checked) {
      ReportAt(item, Path(key) + ": " + checked.error().message);
      continue;
    }
    value.emplace(node->keys[i], item.text);
  }
}

void SettingsReader::Section(std::string_view key, bool& present,
                             const std::function<void()>& body) {
  const SettingsNode* node = TakeKind(key, Kind::kTable, "a table: [" + Path(key) + "]");
  static const SettingsNode kEmpty;
  // A section that is always there is visited even when the document lacks it: with no keys.
  if (node == nullptr) node = present ? &kEmpty : nullptr;
  present = node != nullptr;
  if (!present) return;
  frames_.push_back({node, Path(key), {}});
  body();
  Leave();
}

void SettingsReader::TableList(std::string_view key, size_t /*count*/,
                               const std::function<void(size_t)>& resize,
                               const std::function<void(size_t)>& body) {
  const SettingsNode* node = TakeKind(key, Kind::kList, "a list of tables: [[" + Path(key) + "]]");
  if (node == nullptr) return;
  for (const SettingsNode& item : node->items) {
    if (item.kind == Kind::kTable) continue;
    return ReportAt(item, Path(key) + " holds " + Describe(item) + "; write a list of tables: [[" +
                              Path(key) + "]]");
  }
  resize(node->items.size());
  for (size_t i = 0; i < node->items.size(); ++i) {
    frames_.push_back({&node->items[i], Path(key) + "[" + std::to_string(i) + "]", {}});
    body(i);
    Leave();
  }
}

Result<> SettingsReader::Finish() {
  if (frames_.size() == 1) Leave();
  // A misspelt key explains why another one is missing, and not the other way round.
  const std::optional<Failure>& failure = bad_value_ ? bad_value_ : complaint_;
  if (failure) return Fail(Code::kInvalidArgument, failure->message);
  return {};
}

}  // namespace hybridserve
