// Settings: how function.toml, the node's configuration and their JSON forms are described once and
// read, checked and written by the same description.
//
// A document (TOML or JSON) is parsed into SettingsNodes. A function that describes a structure,
// `void Visit(SettingsVisitor&, Manifest&)`, names each key with its range; SettingsReader fills
// the structure from the nodes and finds unknown keys, wrong types and values out of range;
// SettingsToJson writes it. Errors name the place: "hello/function.toml:7: unknown key 'memroy' in
// [limits]; did you mean 'memory'?".
//
// Thread rule: plain values; one thread at a time.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace hybridserve {

/// One value of a parsed document.
struct SettingsNode {
  enum class Kind : uint8_t { kBoolean, kInteger, kFloat, kText, kList, kTable, kOther };
  Kind kind = Kind::kTable;
  bool boolean = false;
  int64_t integer = 0;
  double number = 0;
  std::string text;
  std::vector<SettingsNode> items;  ///< Of a list, or the values of a table.
  std::vector<std::string> keys;    ///< Of a table: keys[i] names items[i].
  int line = 0;                     ///< From 1; 0: the source has no lines.
  /// Set for a value that comes from elsewhere than the document (an environment variable): errors
  /// name it, and its text may stand for any type.
  std::string origin;

  /// The value of `key` in a table, or nullptr.
  [[nodiscard]] const SettingsNode* Find(std::string_view key) const;
  /// Sets `key` in a table.
  void Set(std::string key, SettingsNode value);
};

/// Parses TOML; `file` names it in errors. Errors: kInvalidArgument with file and line.
Result<SettingsNode> ParseTomlSettings(std::string_view text, std::string_view file);
/// Parses JSON; `document` names it in errors. Errors: kInvalidArgument.
Result<SettingsNode> ParseJsonSettings(std::string_view text, std::string_view document);

/// Checks one text; the error's sentence names the text itself.
using TextCheck = std::function<Result<>(std::string_view)>;

template <typename E>
using Choices = std::span<const std::pair<std::string_view, E>>;

/// What a description of a structure calls for each of its keys. Keys absent from a document leave
/// their value alone.
class SettingsVisitor {
 public:
  virtual ~SettingsVisitor() = default;

  virtual void Text(std::string_view key, std::string& value, const TextCheck& check) = 0;
  virtual void Flag(std::string_view key, bool& value) = 0;
  virtual void Count(std::string_view key, uint32_t& value, uint32_t min, uint32_t max) = 0;
  virtual void Number(std::string_view key, double& value, double min, double max) = 0;
  virtual void Size(std::string_view key, uint64_t& value, uint64_t min, uint64_t max) = 0;
  virtual void Duration(std::string_view key, std::chrono::milliseconds& value,
                        std::chrono::milliseconds min, std::chrono::milliseconds max) = 0;
  virtual void TextList(std::string_view key, std::vector<std::string>& value,
                        const TextCheck& check) = 0;
  /// A table whose keys are free; `check` gets each key, then `check_value` each value.
  virtual void TextMap(std::string_view key, std::map<std::string, std::string>& value,
                       const TextCheck& check, const TextCheck& check_value) = 0;
  /// A table with keys of its own, described by `body`. `present` says (or learns) whether it is
  /// there; `body` runs only then.
  virtual void Section(std::string_view key, bool& present, const std::function<void()>& body) = 0;
  /// A list of tables: `body(i)` describes the i-th; `resize(n)` is called first.
  virtual void TableList(std::string_view key, size_t count,
                         const std::function<void(size_t)>& resize,
                         const std::function<void(size_t)>& body) = 0;
  /// Reports what a single value cannot show (two keys that contradict each other) at `key` of the
  /// section being visited.
  virtual void Complain(std::string_view key, std::string sentence) = 0;

  /// A word that stands for an enum's value.
  template <typename E>
  void Choice(std::string_view key, E& value, Choices<E> choices) {
    std::optional<E> chosen = value;
    OptionalChoice(key, chosen, choices);
    value = *chosen;
  }
  /// The same, where absent means none.
  template <typename E>
  void OptionalChoice(std::string_view key, std::optional<E>& value, Choices<E> choices) {
    std::vector<std::string_view> words;
    std::optional<size_t> index;
    for (const auto& [word, meaning] : choices) {
      if (value == meaning) index = words.size();
      words.push_back(word);
    }
    Word(key, index, words);
    if (index) value = choices[*index].second;
  }

  /// A section that is always there.
  void Section(std::string_view key, const std::function<void()>& body) {
    bool present = true;
    Section(key, present, body);
  }

 protected:
  /// One of `words`; `index` is unset when none is given.
  virtual void Word(std::string_view key, std::optional<size_t>& index,
                    const std::vector<std::string_view>& words) = 0;
};

/// Fills a structure from a parsed document. Visit it, then ask Finish.
class SettingsReader : public SettingsVisitor {
 public:
  /// `root` outlives the reader; `document` names it in errors.
  SettingsReader(const SettingsNode& root, std::string document);
  ~SettingsReader() override;

  void Text(std::string_view key, std::string& value, const TextCheck& check) override;
  void Flag(std::string_view key, bool& value) override;
  void Count(std::string_view key, uint32_t& value, uint32_t min, uint32_t max) override;
  void Number(std::string_view key, double& value, double min, double max) override;
  void Size(std::string_view key, uint64_t& value, uint64_t min, uint64_t max) override;
  void Duration(std::string_view key, std::chrono::milliseconds& value,
                std::chrono::milliseconds min, std::chrono::milliseconds max) override;
  void TextList(std::string_view key, std::vector<std::string>& value,
                const TextCheck& check) override;
  void TextMap(std::string_view key, std::map<std::string, std::string>& value,
               const TextCheck& check, const TextCheck& check_value) override;
  using SettingsVisitor::Section;
  void Section(std::string_view key, bool& present, const std::function<void()>& body) override;
  void TableList(std::string_view key, size_t count, const std::function<void(size_t)>& resize,
                 const std::function<void(size_t)>& body) override;
  void Complain(std::string_view key, std::string sentence) override;

  /// The bad value or unknown key nearest the document's start, else the complaint nearest to it.
  /// kInvalidArgument.
  Result<> Finish();

 protected:
  void Word(std::string_view key, std::optional<size_t>& index,
            const std::vector<std::string_view>& words) override;

 private:
  struct Frame;  // A table being read, and the keys asked for so far.
  struct Failure {
    std::string message;
    int line;
  };

  const SettingsNode* Take(std::string_view key);
  const SettingsNode* TakeKind(std::string_view key, SettingsNode::Kind kind,
                               std::string_view want);
  void Leave();
  [[nodiscard]] std::string Path(std::string_view key) const;
  void Report(std::optional<Failure>& place, const SettingsNode& node, std::string sentence);
  void ReportAt(const SettingsNode& node, std::string sentence);
  void ReportOutOfRange(const SettingsNode& node, std::string_view key, const std::string& value,
                        const std::string& min, const std::string& max);

  std::string document_;
  std::vector<Frame> frames_;
  std::optional<Failure> bad_value_;
  std::optional<Failure> complaint_;
};

/// The JSON of whatever `describe` visits: every key with its value, sizes in bytes, durations as
/// text ("30s").
std::string SettingsToJson(const std::function<void(SettingsVisitor&)>& describe);

/// The word of `words` nearest to `word`, when it is near enough to be a slip of the keyboard.
std::optional<std::string_view> Nearest(std::string_view word,
                                        const std::vector<std::string_view>& words);

}  // namespace hybridserve
