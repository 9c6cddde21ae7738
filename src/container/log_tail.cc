#include "container/log_tail.h"

#include <algorithm>

namespace hybridserve {

void LogTail::Add(std::string_view bytes, const std::function<void(std::string_view)>& line) {
  while (!bytes.empty()) {
    const size_t end = bytes.find('\n');
    const size_t room = kMaxLineBytes - partial_.size();
    const size_t take = std::min({bytes.size(), end, room});
    const bool whole = take == end || take == room;
    if (whole && partial_.empty()) {
      Emit(bytes.substr(0, take), line);
    } else {
      partial_.append(bytes.substr(0, take));
      if (whole) {
        Emit(partial_, line);
        partial_.clear();
      }
    }
    bytes.remove_prefix(take + (take == end ? 1 : 0));
  }
}

void LogTail::End(const std::function<void(std::string_view)>& line) {
  if (partial_.empty()) return;
  Emit(partial_, line);
  partial_.clear();
}

void LogTail::Emit(std::string_view line, const std::function<void(std::string_view)>& to) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (!line.empty()) {
    if (kept_.size() == kKeptLines) kept_.pop_front();
    kept_.emplace_back(line.substr(0, kKeptLineBytes));
  }
  if (to) to(line);
}

std::string LogTail::Describe() const {
  std::string text;
  for (const std::string& line : kept_) text += (text.empty() ? "\"" : " | \"") + line + "\"";
  if (!partial_.empty()) {
    text += (text.empty() ? "\"" : " | \"") + partial_.substr(0, kKeptLineBytes) + "\"";
  }
  if (text.empty()) return "; it wrote nothing";
  std::replace_if(
      text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }, '?');
  return "; its last output: " + text;
}

}  // namespace hybridserve
