// LineLog: what a jailed program writes to stderr, line by line, into the launcher's own log.
// The text comes from inside a jail: lines are cut at 1 KiB, control characters become '?', and no
// more than 100 lines a second get through.
//
// Thread rule: one thread, the loop's.
#pragma once

#include <string>

#include "base/line_budget.h"
#include "base/unique_fd.h"
#include "launcher/event_loop.h"

namespace hybridserve::launcher {

class LineLog {
 public:
  /// Logs what arrives at `pipe` (non-blocking) until it closes, each line behind `name`.
  LineLog(EventLoop& loop, UniqueFd pipe, std::string name);
  ~LineLog();
  LineLog(const LineLog&) = delete;
  LineLog& operator=(const LineLog&) = delete;

  /// Logs what is there now, and what was left without a newline.
  void Flush();

 private:
  void Read();
  void Add(char c);
  void EndLine();

  EventLoop& loop_;
  UniqueFd pipe_;
  std::string name_;
  std::string line_;
  LineBudget budget_;
};

/// Text from a jail made safe for a log or a message: control characters become '?'.
std::string Cleaned(std::string_view text, size_t max_bytes);

}  // namespace hybridserve::launcher
