// A template's steps carried out.
#include "common/template.h"

#include <array>
#include <charconv>

#include "common/page_buffer.h"

namespace functions {
namespace {

constexpr size_t kLongestNumber = 20;  // -9223372036854775808

/// What stands for a character in HTML; empty: itself.
constexpr std::string_view ReferenceOf(char c) {
  switch (c) {
    case '&': return "&amp;";
    case '<': return "&lt;";
    case '>': return "&gt;";
    case '"': return "&#34;";
    case '\'': return "&#39;";
    default: return {};
  }
}

constexpr std::array<bool, 256> kSpecial = [] {
  std::array<bool, 256> special{};
  for (size_t i = 0; i < 256; ++i) special[i] = !ReferenceOf(static_cast<char>(i)).empty();
  return special;
}();

template <typename Appender>
void Escape(std::string_view text, const Appender& append) {
  size_t begin = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (!kSpecial[static_cast<unsigned char>(text[i])]) continue;
    append(text.substr(begin, i - begin));
    append(ReferenceOf(text[i]));
    begin = i + 1;
  }
  append(text.substr(begin));
}

bool IsTrue(const Value* value) {
  if (value == nullptr) return false;
  if (const auto* text = std::get_if<std::string_view>(value)) return !text->empty();
  if (const auto* number = std::get_if<int64_t>(value)) return *number != 0;
  if (const auto* list = std::get_if<const List*>(value)) return !(*list)->empty();
  return true;
}

const Value* FieldOf(const Record& record, std::string_view name) {
  for (const Field& field : record) {
    if (field.name == name) return &field.value;
  }
  return nullptr;
}

}  // namespace

class TemplateRenderer {
 public:
  TemplateRenderer(const Template& page, const Record& values)
      : template_(page), slots_(page.slots_), ends_(page.slots_) {
    for (size_t i = 0; i < page.globals_.size(); ++i) slots_[i] = FieldOf(values, page.globals_[i]);
  }

  std::string Render() {
    const std::vector<Step>& steps = template_.steps_;
    for (size_t at = 0; at < steps.size();) {
      const Step& step = steps[at++];
      switch (step.action) {
        case Action::kText: page_.AppendPadded(step.text.data(), step.text.size()); break;
        case Action::kValue:
        case Action::kSafeValue: Write(ValueOf(step), step.action == Action::kValue); break;
        case Action::kFor: at = Begin(step, at); break;
        case Action::kEndFor:
          if (++slots_[step.item] != ends_[step.item]) at = step.target;
          break;
        case Action::kIf: at = IsTrue(ValueOf(step)) ? at : step.target; break;
        case Action::kIfNot: at = IsTrue(ValueOf(step)) ? step.target : at; break;
        case Action::kJump: at = step.target; break;
      }
    }
    return page_.Take();
  }

 private:
  using Action = Template::Action;
  using Step = Template::Step;

  /// Starts a loop; the step that comes then, `next` unless there are no items.
  size_t Begin(const Step& step, size_t next) {
    const Value* value = ValueOf(step);
    const auto* list = value == nullptr ? nullptr : std::get_if<const List*>(value);
    if (list == nullptr || (*list)->empty()) return step.target;
    slots_[step.item] = (*list)->data();
    ends_[step.item] = (*list)->data() + (*list)->size();
    return next;
  }

  const Value* ValueOf(const Step& step) const {
    const Value* value = slots_[step.slot];
    if (step.field.empty() || value == nullptr) return value;
    const auto* record = std::get_if<const Record*>(value);
    return record == nullptr ? nullptr : FieldOf(**record, step.field);
  }

  void Write(const Value* value, bool escaped) {
    if (value == nullptr) return;
    if (const auto* number = std::get_if<int64_t>(value)) {
      char digits[kLongestNumber + PageBuffer::kPadding];
      const char* end = std::to_chars(digits, digits + kLongestNumber, *number).ptr;
      page_.AppendPadded(digits, static_cast<size_t>(end - digits));
    } else if (const auto* text = std::get_if<std::string_view>(value)) {
      if (!escaped) return page_.Append(*text);
      Escape(*text, [this](std::string_view piece) { page_.Append(piece); });
    }
  }

  const Template& template_;
  std::vector<const Value*> slots_;
  std::vector<const Value*> ends_;  ///< Behind the last item, by the item's slot.
  PageBuffer page_;
};

std::string Template::Render(const Record& values) const {
  return TemplateRenderer(*this, values).Render();
}

}  // namespace functions
