// LogTail: cuts the bytes of a container's log pipe into lines of bounded length and remembers the
// last few, for messages about a container that failed.
//
// Thread rule: one thread.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <string>
#include <string_view>

namespace hybridserve {

class LogTail {
 public:
  /// Longer lines are cut into several.
  static constexpr size_t kMaxLineBytes = 8 * 1024;
  static constexpr size_t kKeptLines = 10;
  static constexpr size_t kKeptLineBytes = 256;

  /// Calls `line` for each line that `bytes` completes, without its line end.
  void Add(std::string_view bytes, const std::function<void(std::string_view)>& line);
  /// The pipe has ended: what is left is a line.
  void End(const std::function<void(std::string_view)>& line);

  /// "; its last output: "a" | "b"", or "; it wrote nothing". Control characters become '?'.
  [[nodiscard]] std::string Describe() const;

 private:
  void Emit(std::string_view line, const std::function<void(std::string_view)>& to);

  std::string partial_;
  std::deque<std::string> kept_;
};

}  // namespace hybridserve
