// Progress: what a person sees of long work, on standard error.
//
// On a terminal one line is rewritten: a bar where the amount is known, else the elapsed time. Off
// a terminal each step is a plain line. Silent() shows nothing.
//
// Thread rule: one thread calls; a thread of its own redraws while a step runs.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "cli/terminal.h"

namespace hybridserve::cli {

class Progress {
 public:
  explicit Progress(const Terminal& terminal);
  static Progress Silent();
  ~Progress();
  Progress(Progress&&) noexcept;
  Progress& operator=(Progress&&) = delete;

  /// Begins a step; the one before is over. `message` says what is being done: "uploading module".
  void Step(std::string_view message);
  /// How much of the running step is done; `total` 0 means unknown.
  void Advance(uint64_t done, uint64_t total);
  /// The running step is over; its line is taken away (a terminal) or stays (elsewhere).
  void Finish();

 private:
  struct Impl;
  explicit Progress(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// "[#######-------------]  35 %": 20 cells.
std::string ProgressBar(uint64_t done, uint64_t total);

}  // namespace hybridserve::cli
