// Template: a page's text with Jinja's marks (jinja.palletsprojects.com, Template Designer
// Documentation; a small part of it), compiled once into steps.
//
//   {{ name }} {{ name.field }}   the value, its & < > " ' as references
//   {{ name | safe }}             the value as it is
//   {% for item in list %} ... {% endfor %}
//   {% if name %} ... {% else %} ... {% endif %}   also {% if not name %}
//   {%- ... -%}   the white space before and after the mark is left out; so with {{- -}}
//
// A name is the nearest loop's item or a field of the values given to Render. What is not there is
// empty and false; so are "", 0 and a list without items. A list's items are taken in turn; a value
// that is no list has none.
//
// Thread rule: immutable once compiled; any threads may render at once.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace functions {

struct Value;
struct Field;
using List = std::vector<Value>;
/// Fields by name, each name once; looked up one by one, so few of them.
using Record = std::vector<Field>;

/// What a name stands for: a view, cheap to copy. Whoever renders keeps alive what it looks at.
struct Value : std::variant<std::string_view, int64_t, const List*, const Record*> {
  using variant::variant;
};

struct Field {
  std::string_view name;
  Value value;
};

class Template {
 public:
  /// Compiles `source`, which is copied. What is wrong is in error(), and the page is empty then.
  explicit Template(std::string_view source);
  Template(const Template&) = delete;
  Template& operator=(const Template&) = delete;

  /// "line 3: endfor without for"; empty if the source is well-formed.
  [[nodiscard]] const std::string& error() const { return error_; }
  [[nodiscard]] std::string Render(const Record& values) const;

 private:
  friend class TemplateCompiler;
  friend class TemplateRenderer;

  enum class Action : uint8_t { kText, kValue, kSafeValue, kFor, kEndFor, kIf, kIfNot, kJump };
  struct Step {
    Action action;
    std::string_view text;   ///< kText: of source_.
    size_t slot = 0;         ///< The name's value; kFor: the list's.
    std::string_view field;  ///< Of the value in the slot; empty: the value itself.
    size_t target = 0;       ///< Where a loop without items, a failed test or a jump goes on.
    size_t item = 0;         ///< kFor, kEndFor: the slot of the loop's item.
  };

  std::string source_;  ///< The steps look into it; padded for PageBuffer.
  std::string error_;
  std::vector<std::string_view> globals_;  ///< The names in the first slots; the others are items.
  size_t slots_ = 0;
  std::vector<Step> steps_;

};

}  // namespace functions
