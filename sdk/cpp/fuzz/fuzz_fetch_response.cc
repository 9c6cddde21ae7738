// Fuzz target: a response from any bytes; in pieces it must come to the same as in one.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "fetch_message.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t kMaxBody = 1000;
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  hs::internal::ResponseReader whole(false, kMaxBody);
  hs::internal::ResponseReader split(false, kMaxBody);
  whole.Feed(bytes);
  whole.End();
  bool more = true;
  for (size_t i = 0; i < size && more; ++i) more = split.Feed(bytes.substr(i, 1));
  split.End();
  if (whole.done() != split.done() || whole.error().empty() != split.error().empty()) std::abort();
  if (!whole.done()) return 0;
  hs::FetchResult a = whole.Take();
  hs::FetchResult b = split.Take();
  if (a.status != b.status || a.headers != b.headers || a.body != b.body) std::abort();
  if (a.status < 200 || a.status > 599 || a.body.size() > kMaxBody) std::abort();
  return 0;
}
