// Terminal: where a command's output goes, and what that place can show.
//
// Results go to standard output, all else (progress, notes, errors) to standard error, so that a
// pipe gets only results.
//
// Thread rule: one thread, but for Progress's ticker, which writes to `err` under Progress's lock.
#pragma once

#include <cstdio>
#include <string>
#include <string_view>

namespace hybridserve::cli {

struct Terminal {
  std::FILE* out = stdout;
  std::FILE* err = stderr;
  bool colour = false;    ///< Of `out`: it is a terminal and NO_COLOR is not set (no-color.org).
  bool animate = false;   ///< `err` is a terminal that can rewrite a line.
  bool decorate = false;  ///< `out` is a terminal: a person reads.

  /// What the process's own standard streams can do.
  static Terminal OfProcess();

  /// `text` in bold or dim, or as it is without colour.
  [[nodiscard]] std::string Bold(std::string_view text) const;
  [[nodiscard]] std::string Dim(std::string_view text) const;

  void Print(std::string_view text) const;  ///< To `out`.
  void Note(std::string_view text) const;   ///< To `err`.
};

/// Columns that `text` (UTF-8) takes on a terminal; escape sequences take none.
size_t DisplayWidth(std::string_view text);

/// `text` with control characters escaped, so that what a node or a function sent cannot drive the
/// terminal. Tabs stay.
std::string Printable(std::string_view text);

}  // namespace hybridserve::cli
