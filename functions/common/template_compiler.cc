// From a template's source to its steps.
#include <algorithm>
#include <optional>

#include "common/page_buffer.h"
#include "common/template.h"

namespace functions {
namespace {

constexpr std::string_view kSpace = " \t\n";

std::string_view Trim(std::string_view text) {
  const size_t begin = std::min(text.find_first_not_of(kSpace), text.size());
  text.remove_prefix(begin);
  return text.substr(0, text.find_last_not_of(kSpace) + 1);
}

/// The first word of `rest`, which then begins behind it.
std::string_view TakeWord(std::string_view& rest) {
  rest = Trim(rest);
  const std::string_view word = rest.substr(0, rest.find_first_of(kSpace));
  rest = Trim(rest.substr(word.size()));
  return word;
}

bool IsName(std::string_view word) {
  return !word.empty() && std::ranges::all_of(word, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

}  // namespace

class TemplateCompiler {
 public:
  TemplateCompiler(Template& into, std::string_view source) : into_(into), source_(source) {}

  void Compile() {
    size_t at = 0;
    while (at < source_.size() && into_.error_.empty()) at = CompilePiece(at);
    if (into_.error_.empty() && !blocks_.empty()) Fail("a block without its end");
    if (!into_.error_.empty()) into_.steps_.clear();
    // The items' slots lie behind those of the names from outside.
    const size_t globals = into_.globals_.size();
    for (Step& step : into_.steps_) {
      if (step.slot >= kItems) step.slot += globals - kItems;
      step.item += globals;
    }
    into_.slots_ = globals + most_items_;
  }

 private:
  using Action = Template::Action;
  using Step = Template::Step;

  /// Until the source is read, slots from here on are those of loops' items.
  static constexpr size_t kItems = size_t{1} << 20;

  struct Block {
    Action action;
    size_t step;  ///< Whose target is where the block's next part begins.
  };

  /// The text up to the next mark, and the mark. Where the source goes on.
  size_t CompilePiece(size_t at) {
    size_t mark = at;
    do {
      mark = std::min(source_.find('{', mark == at ? mark : mark + 1), source_.size());
    } while (mark + 1 < source_.size() && source_[mark + 1] != '{' && source_[mark + 1] != '%');
    if (mark + 1 >= source_.size()) mark = source_.size();
    const bool trims_before = source_.substr(std::min(mark + 2, source_.size())).starts_with('-');
    AddText(source_.substr(at, mark - at), trims_before);
    at_ = mark;
    if (mark == source_.size()) return mark;
    const bool is_value = source_[mark + 1] == '{';
    const size_t end = source_.find(is_value ? "}}" : "%}", mark);
    if (end == std::string_view::npos) {
      Fail("a mark without its end");
      return mark;
    }
    std::string_view inner = source_.substr(mark + 2, end - mark - 2);
    if (trims_before) inner.remove_prefix(1);
    const bool trims_after = inner.ends_with('-');
    if (trims_after) inner.remove_suffix(1);
    is_value ? CompileValue(inner) : CompileTag(inner);
    const size_t after = end + 2;
    return trims_after ? std::min(source_.find_first_not_of(kSpace, after), source_.size()) : after;
  }

  void AddText(std::string_view text, bool trims_end) {
    if (trims_end) text = text.substr(0, text.find_last_not_of(kSpace) + 1);
    if (!text.empty()) into_.steps_.push_back({.action = Action::kText, .text = text});
  }

  void CompileValue(std::string_view inner) {
    const size_t bar = std::min(inner.find('|'), inner.size());
    const std::string_view filter = Trim(inner.substr(std::min(bar + 1, inner.size())));
    if (bar < inner.size() && filter != "safe") return Fail("the only filter is safe");
    const Action action = bar < inner.size() ? Action::kSafeValue : Action::kValue;
    if (std::optional<Step> step = StepOf(action, Trim(inner.substr(0, bar)))) {
      into_.steps_.push_back(*step);
    }
  }

  void CompileTag(std::string_view rest) {
    const std::string_view tag = TakeWord(rest);
    if (tag == "for") return CompileFor(rest);
    if (tag == "if") return CompileIf(rest);
    if (!rest.empty()) return Fail("one word too many");
    if (tag == "else") return CompileElse();
    if (tag == "endfor") return CompileEndFor();
    if (tag == "endif") return CompileEndIf();
    Fail("the tags are for, endfor, if, else and endif");
  }

  void CompileFor(std::string_view rest) {
    const std::string_view item = TakeWord(rest);
    if (!IsName(item) || TakeWord(rest) != "in") return Fail("write for item in list");
    std::optional<Step> step = StepOf(Action::kFor, rest);
    if (!step) return;
    step->item = items_.size();
    Open(*step);
    items_.push_back(item);
    most_items_ = std::max(most_items_, items_.size());
  }

  void CompileIf(std::string_view rest) {
    Action action = Action::kIf;
    if (rest.starts_with("not ")) {
      action = Action::kIfNot;
      TakeWord(rest);
    }
    if (std::optional<Step> step = StepOf(action, rest)) Open(*step);
  }

  void CompileElse() {
    if (blocks_.empty() || (blocks_.back().action != Action::kIf &&
                            blocks_.back().action != Action::kIfNot)) {
      return Fail("else without if");
    }
    const size_t test = blocks_.back().step;
    blocks_.pop_back();
    Open({.action = Action::kJump});
    into_.steps_[test].target = into_.steps_.size();
  }

  void CompileEndFor() {
    if (blocks_.empty() || blocks_.back().action != Action::kFor) return Fail("endfor without for");
    const size_t begin = blocks_.back().step;
    items_.pop_back();
    into_.steps_.push_back(
        {.action = Action::kEndFor, .target = begin + 1, .item = into_.steps_[begin].item});
    into_.steps_[begin].target = into_.steps_.size();
    blocks_.pop_back();
  }

  void CompileEndIf() {
    if (blocks_.empty() || blocks_.back().action == Action::kFor) return Fail("endif without if");
    into_.steps_[blocks_.back().step].target = into_.steps_.size();
    blocks_.pop_back();
  }

  void Open(const Step& step) {
    blocks_.push_back({step.action, into_.steps_.size()});
    into_.steps_.push_back(step);
  }

  /// A step about `name` or `name.field`; nothing, and an error, if it is neither.
  std::optional<Step> StepOf(Action action, std::string_view path) {
    const size_t dot = std::min(path.find('.'), path.size());
    const std::string_view name = path.substr(0, dot);
    const std::string_view field = path.substr(std::min(dot + 1, path.size()));
    if (!IsName(name) || (dot < path.size() && !IsName(field))) {
      Fail("give a name or name.field");
      return std::nullopt;
    }
    return Step{.action = action, .slot = SlotOf(name), .field = field};
  }

  size_t SlotOf(std::string_view name) {
    for (size_t i = items_.size(); i > 0; --i) {
      if (items_[i - 1] == name) return kItems + i - 1;
    }
    const auto known = std::ranges::find(into_.globals_, name);
    const size_t slot = static_cast<size_t>(known - into_.globals_.begin());
    if (known == into_.globals_.end()) into_.globals_.push_back(name);
    return slot;
  }

  void Fail(std::string_view what) {
    const auto begin = source_.begin();
    const auto line = std::count(begin, begin + static_cast<std::ptrdiff_t>(at_), '\n') + 1;
    into_.error_ = "line " + std::to_string(line) + ": " + std::string(what);
  }

  Template& into_;
  std::string_view source_;  ///< Without its padding.
  size_t at_ = 0;  ///< The mark being read.
  std::vector<Block> blocks_;
  std::vector<std::string_view> items_;  ///< Of the open loops.
  size_t most_items_ = 0;
};

Template::Template(std::string_view source) : source_(source) {
  source_.append(PageBuffer::kPadding, '\0');
  TemplateCompiler(*this, std::string_view(source_).substr(0, source.size())).Compile();
}

}  // namespace functions
