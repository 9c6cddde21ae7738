#include "document.h"

#include <algorithm>

#include "common/random.h"
#include "common/vocabulary.h"

namespace {

using functions::Random;
using functions::Vocabulary;

/// Millionths as a decimal number: 12500000 is 12.500000.
void AppendMillionths(uint64_t value, std::string& text) {
  text += std::to_string(value / 1'000'000);
  text += '.';
  for (uint64_t place = 100'000; place > 0; place /= 10) {
    text += static_cast<char>('0' + value / place % 10);
  }
}

class Writer {
 public:
  Writer(uint64_t seed, std::string& text) : random_(seed), text_(text) {}

  /// A user as json-generator.com's sample has one.
  void AppendRecord(size_t id) {
    const std::string_view name = Word();
    const std::string_view company = Word();
    text_ += "{\"index\":" + std::to_string(id) + ",\"isActive\":";
    text_ += random_.Below(2) == 0 ? "false" : "true";
    text_ += ",\"balance\":\"$" + std::to_string(random_.Below(4000)) + ".50\",\"age\":";
    text_ += std::to_string(20 + random_.Below(21)) + ",\"name\":\"";
    text_.append(name).append("\",\"company\":\"").append(company).append("\",\"email\":\"");
    text_.append(name).append("@").append(company).append(".example\",\"phone\":null,\"address\":\"");
    text_ += std::to_string(random_.Below(1000)) + " ";
    text_.append(Word()).append(" \\\"").append(Word()).append("\\\", Z\\u00fcrich\",\"about\":\"");
    vocabulary_.AppendSentence(random_, 10 + random_.Below(40), text_);
    text_ += "\",\"latitude\":";
    AppendMillionths(random_.Below(90'000'000), text_);
    text_ += ",\"longitude\":-";
    AppendMillionths(random_.Below(180'000'000), text_);
    text_ += ",\"tags\":[";
    for (int i = 0; i < 7; ++i) text_.append(i > 0 ? ",\"" : "\"").append(Word()).append("\"");
    text_ += "],\"friends\":[";
    for (uint64_t i = 0; i < random_.Below(4); ++i) {
      text_ += (i > 0 ? ",{\"id\":" : "{\"id\":") + std::to_string(i) + ",\"name\":\"";
      text_.append(Word()).append(" ").append(Word()).append("\"}");
    }
    text_ += "]}";
  }

 private:
  std::string_view Word() { return vocabulary_.Pick(random_); }

  const Vocabulary vocabulary_{1000};
  Random random_;
  std::string& text_;
};

}  // namespace

std::string MakeDocument(size_t count, uint64_t seed) {
  std::string text = "[";
  Writer writer(seed, text);
  for (size_t id = 0; id < count; ++id) {
    if (id > 0) text += ',';
    writer.AppendRecord(id);
  }
  return text + "]";
}

size_t DepthOf(std::string_view text) {
  size_t depth = 0;
  size_t deepest = 0;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\') ++i;
      quoted = c != '"';
    } else if (c == '"') {
      quoted = true;
    } else if (c == '[' || c == '{') {
      deepest = std::max(deepest, ++depth);
    } else if ((c == ']' || c == '}') && depth > 0) {
      --depth;
    }
  }
  return deepest;
}
