// AnswerReader: one HTTP/1.1 answer out of bytes as they arrive.
//
// Thread rule: one thread at a time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace hybridserve::bench {

class AnswerReader {
 public:
  /// Takes the next bytes. Errors: kCorrupt it is not HTTP/1.1, has no Content-Length (chunked
  /// answers are not read), or more bytes came than it has; the reader is then of no further use.
  Result<> Take(std::string_view bytes);

  /// Whether the answer is whole. What follows is of the whole answer only.
  [[nodiscard]] bool whole() const { return head_read_ && bytes_.size() == size_; }
  [[nodiscard]] int status() const { return status_; }
  [[nodiscard]] bool has_retry_after() const { return has_retry_after_; }
  /// Whether the server ends the connection after it.
  [[nodiscard]] bool closes() const { return closes_; }
  [[nodiscard]] std::string_view body() const { return std::string_view(bytes_).substr(body_at_); }

  /// Ready for the next answer.
  void Reset() { *this = {}; }

 private:
  Result<> ReadHead(size_t head_size);

  std::string bytes_;
  size_t body_at_ = 0;
  size_t size_ = 0;  ///< Of head and body.
  int status_ = 0;
  bool head_read_ = false;
  bool has_retry_after_ = false;
  bool closes_ = false;
};

}  // namespace hybridserve::bench
