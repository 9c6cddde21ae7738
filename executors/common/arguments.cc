#include "executors/common/arguments.h"

#include <charconv>

namespace hybridserve {

Result<std::string> Arguments::TakeText(std::string_view option) {
  if (!empty()) return std::string(Take());
  return Fail(Code::kInvalidArgument, std::string(option) + " needs a value");
}

Result<uint64_t> Arguments::TakeNumber(std::string_view option, uint64_t least, uint64_t most) {
  TRY_ASSIGN(const std::string text, TakeText(option));
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    return Fail(Code::kInvalidArgument,
                std::string(option) + " takes a number, not '" + text + "'");
  }
  if (value < least || value > most) {
    return Fail(Code::kInvalidArgument, std::string(option) + " must be between " +
                                            std::to_string(least) + " and " + std::to_string(most));
  }
  return value;
}

}  // namespace hybridserve
