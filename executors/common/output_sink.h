// OutputSink: what a guest writes to one stream, up to a limit.
//
// Small outputs stay in one buffer that is used again; larger ones continue in a memfd, so that the
// executor's heap stays flat and the bytes reach the server without another copy.
//
// Thread rule: one thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"

namespace hybridserve {

class OutputSink {
 public:
  /// Forgets everything; at most `limit_bytes` may be written from now on.
  void Reset(uint64_t limit_bytes);

  /// False when `bytes` would pass the limit (nothing of them is kept) or a memfd cannot be made.
  bool Write(std::string_view bytes);

  [[nodiscard]] uint64_t size() const { return spilled_bytes_ + buffer_.size(); }
  [[nodiscard]] uint64_t limit_bytes() const { return limit_bytes_; }
  [[nodiscard]] bool in_file() const { return static_cast<bool>(file_); }
  /// The whole output; only when it is not in a file.
  [[nodiscard]] std::string_view view() const { return buffer_; }
  /// The whole output as a sealed memfd; only when in_file().
  Result<UniqueFd> TakeFile();

 private:
  bool Spill();

  uint64_t limit_bytes_ = 0;
  uint64_t spilled_bytes_ = 0;
  std::string buffer_;
  UniqueFd file_;
};

}  // namespace hybridserve
