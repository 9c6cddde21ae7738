// An Authorization header (the first line) against a key file (the rest), both of arbitrary bytes.
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "function/keys.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using hybridserve::Header;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::string_view authorization = text.substr(0, text.find('\n'));
  const auto keys = hybridserve::KeySet::Parse(text.substr(authorization.size()), "keys");
  if (!keys) return 0;
  if (keys->keys().size() > hybridserve::KeySet::kMaxKeys) std::abort();
  const hybridserve::Key* key = keys->Find(authorization);
  // Whoever passes has said a key whose hash is in the file.
  if (key != nullptr) {
    const std::string_view word = authorization.substr(authorization.find(' '));
    const size_t start = word.find_first_not_of(" \t\r");
    const size_t end = word.find_last_not_of(" \t\r");
    if (start == std::string_view::npos) std::abort();
    if (hybridserve::Sha256(word.substr(start, end + 1 - start)) != key->digest) std::abort();
  }
  const std::vector<Header> once{{"authorization", std::string(authorization)}};
  if (CheckKey(*keys, once, "it").has_value() != (key != nullptr)) std::abort();
  // Two headers are none.
  const std::vector<Header> twice(2, once[0]);
  if (CheckKey(*keys, twice, "it")) std::abort();
  return 0;
}
