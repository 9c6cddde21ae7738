// Arguments: the words of a command line, taken from the front.
//
// Thread rule: one thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace hybridserve {

class Arguments {
 public:
  explicit Arguments(std::vector<std::string_view> words) : words_(std::move(words)) {}

  [[nodiscard]] bool empty() const { return next_ == words_.size(); }
  /// The next word, which stays.
  [[nodiscard]] std::string_view Peek() const { return words_[next_]; }
  /// The next word. Only when not empty().
  std::string_view Take() { return words_[next_++]; }
  /// The value of `option`. Errors: kInvalidArgument there is none.
  Result<std::string> TakeText(std::string_view option);
  /// The value of `option` as a decimal number. Errors: kInvalidArgument.
  Result<uint64_t> TakeNumber(std::string_view option, uint64_t least, uint64_t most);

 private:
  std::vector<std::string_view> words_;
  size_t next_ = 0;
};

}  // namespace hybridserve
